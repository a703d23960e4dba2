#include "args.h"

#include <sstream>
#include <stdexcept>

namespace loadgen {

Args::Args(int argc, char** argv, int first) {
  for (int i = first; i < argc; i++) {
    std::string name = argv[i];
    if (name.rfind("--", 0) != 0) throw std::invalid_argument("expected an option, got " + name);
    name.erase(0, 2);
    // A flag is an option whose next word is an option too, or that is last.
    const bool has_value = i + 1 < argc && std::string(argv[i + 1]).rfind("--", 0) != 0;
    values_[name] = {has_value ? argv[++i] : "", false};
  }
}

Args::Value* Args::find(const std::string& name) {
  auto found = values_.find(name);
  if (found == values_.end()) return nullptr;
  found->second.read = true;
  return &found->second;
}

bool Args::flag(const std::string& name) {
  return find(name) != nullptr;
}

std::string Args::text(const std::string& name, const std::string& fallback) {
  const Value* value = find(name);
  return value ? value->text : fallback;
}

uint64_t Args::number(const std::string& name, uint64_t fallback) {
  const Value* value = find(name);
  return value ? std::stoull(value->text) : fallback;
}

double Args::real(const std::string& name, double fallback) {
  const Value* value = find(name);
  return value ? std::stod(value->text) : fallback;
}

std::vector<uint16_t> Args::ports(const std::string& name) {
  std::vector<uint16_t> ports;
  std::stringstream list(text(name, ""));
  std::string item;
  while (std::getline(list, item, ',')) {
    const size_t dash = item.find('-');
    const unsigned long first = std::stoul(item);
    const unsigned long last = dash == std::string::npos ? first : std::stoul(item.substr(dash + 1));
    if (first == 0 || last > 65535) throw std::invalid_argument("not a port: " + item);
    for (unsigned long port = first; port <= last; port++) ports.push_back(static_cast<uint16_t>(port));
  }
  return ports;
}

void Args::reject_unknown() const {
  for (const auto& [name, value] : values_) {
    if (!value.read) throw std::invalid_argument("unknown option --" + name);
  }
}

}  // namespace loadgen
