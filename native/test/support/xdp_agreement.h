// Whether a set of rules in the kernel does to frames what the rules literally say, and what the thread does.
#pragma once

#include <memory>
#include <string>

#include "core/answer/rules/rule.h"
#include "support/random.h"
#include "support/xdp_runner.h"

namespace ksocket::test {

struct XdpPairs {
  uint64_t passed = 0, flawed = 0, dropped = 0, refused = 0, answered = 0;

  uint64_t all() const { return passed + flawed + dropped + refused + answered; }
};

using MakeRunner = std::unique_ptr<XdpRunner> (*)(const xdp::CompiledRules&);

template <class Runner>
std::unique_ptr<XdpRunner> make_runner(const xdp::CompiledRules& compiled) {
  return std::make_unique<Runner>(compiled);
}

// Compiles the rules, and asks who runs them, and the thread, about some frames, of a fuzzer's bytes as many
// as they say something about. What is different, or "".
std::string xdp_disagreement(const rules::RuleSpec& spec, MakeRunner make, Random& random, int frames,
                             XdpPairs* pairs);

}  // namespace ksocket::test
