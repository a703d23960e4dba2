#pragma once

#include <cinttypes>
#include <cstdio>
#include <string>
#include <vector>

namespace loadgen {

// One flat JSON object, printed as one line. Names and texts here never need escaping.
class JsonLine {
 public:
  JsonLine& add(const char* name, const std::string& text) { return raw(name, "\"" + text + "\""); }
  JsonLine& add(const char* name, const char* text) { return add(name, std::string(text)); }
  JsonLine& add(const char* name, uint64_t number) { return raw(name, std::to_string(number)); }
  JsonLine& add(const char* name, double number) {
    char text[64];
    snprintf(text, sizeof text, "%.6g", number);
    return raw(name, text);
  }
  JsonLine& add(const char* name, const std::vector<uint16_t>& numbers) {
    std::string list;
    for (uint16_t number : numbers) list += (list.empty() ? "" : ",") + std::to_string(number);
    return raw(name, "[" + list + "]");
  }
  JsonLine& add(const char* name, const JsonLine& object) { return raw(name, object.text()); }

  std::string text() const { return "{" + body_ + "}"; }
  void print() const {
    printf("%s\n", text().c_str());
    fflush(stdout);
  }

 private:
  JsonLine& raw(const char* name, const std::string& value) {
    if (!body_.empty()) body_ += ",";
    body_ += std::string("\"") + name + "\":" + value;
    return *this;
  }
  std::string body_;
};

}  // namespace loadgen
