// Rules compiled for looking up: which one decides about a datagram costs about the same with one rule and
// with thousands, as long as they say how the payload begins.
//
// Rules with `exact` or `prefix` are found through a trie, the others are tried one by one, in order. Two
// sources of candidates, one answer: the smallest index wins, and neither is looked at beyond what the other
// found.
//
// Immutable: any thread may match.
#pragma once

#include <cstdint>
#include <vector>

#include "core/answer/rules/payload_trie.h"
#include "core/answer/rules/rule.h"

namespace ksocket::rules {

class Program {
 public:
  static constexpr uint32_t kNoRule = UINT32_MAX;

  explicit Program(RuleSpec spec);

  // The index of the rule that decides, or kNoRule: otherwise() does. `counted` (it is cleared first) gets
  // the `count` rules that matched before that one, in no particular order; nothing is allocated once its
  // capacity is counters(). nullptr: nobody wants to know.
  uint32_t match(const Request& request, std::vector<uint32_t>* counted) const;

  const Rule& rule(uint32_t index) const { return spec_.rules[index]; }
  uint32_t size() const { return static_cast<uint32_t>(spec_.rules.size()); }
  Action otherwise() const { return spec_.otherwise; }
  uint32_t forwards() const { return spec_.forwards; }
  // How many rules count.
  uint32_t counters() const { return counters_; }

 private:
  RuleSpec spec_;
  PayloadTrie trie_;
  std::vector<uint32_t> others_;  // rules that the trie does not hold
  uint32_t counters_ = 0;
};

}  // namespace ksocket::rules
