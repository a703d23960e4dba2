// The rules taken literally, one after the other and bit by bit: slow, and easily seen to be right. What
// Program has to agree with.
#pragma once

#include <cstdint>
#include <vector>

#include "core/answer/rules/rule.h"

namespace ksocket::test {

struct Verdict {
  uint32_t winner = UINT32_MAX;   // UINT32_MAX: no rule
  std::vector<uint32_t> counted;  // ascending

  bool operator==(const Verdict&) const = default;
};

bool matches(const rules::Match& match, const rules::Request& request);
Verdict interpret(const rules::RuleSpec& spec, const rules::Request& request);
// The reply that these parts make; `counter`: how many there were before.
std::vector<uint8_t> interpret(const rules::Template& reply, const rules::Request& request, uint64_t counter);

}  // namespace ksocket::test
