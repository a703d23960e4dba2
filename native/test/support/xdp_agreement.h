// Whether a set of rules in the kernel does to frames what the rules literally say, and what the thread does.
#pragma once

#include <string>

#include "core/answer/rules/rule.h"
#include "support/random.h"

namespace ksocket::test {

struct XdpPairs {
  uint64_t passed = 0, flawed = 0, dropped = 0, refused = 0, answered = 0;

  uint64_t all() const { return passed + flawed + dropped + refused + answered; }
};

// Compiles the rules, loads them and asks about some frames. What is different, or "".
std::string xdp_disagreement(const rules::RuleSpec& spec, Random& random, int frames, XdpPairs* pairs);

}  // namespace ksocket::test
