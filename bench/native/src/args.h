#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace loadgen {

// `--name value` and `--flag` options. Every option that is read is remembered, so a typo is an error
// instead of a default.
class Args {
 public:
  Args(int argc, char** argv, int first);

  bool flag(const std::string& name);
  std::string text(const std::string& name, const std::string& fallback);
  uint64_t number(const std::string& name, uint64_t fallback);
  double real(const std::string& name, double fallback);
  // "4000", "4000,4001" and "4000-4099", mixed.
  std::vector<uint16_t> ports(const std::string& name);

  // Throws std::invalid_argument when an option was given that nothing read.
  void reject_unknown() const;

 private:
  struct Value {
    std::string text;
    bool read = false;
  };
  Value* find(const std::string& name);

  std::map<std::string, Value> values_;
};

}  // namespace loadgen
