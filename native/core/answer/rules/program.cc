#include "core/answer/rules/program.h"

#include <utility>

#include "core/answer/rules/conditions.h"

namespace ksocket::rules {

namespace {

bool is_keyed(const Rule& rule) {
  return rule.match.kind != Match::Payload::any;
}

// The trie tells how payloads begin, so "exactly these bytes" is a prefix of exactly that length.
RuleSpec with_lengths_of_exact(RuleSpec spec) {
  for (Rule& rule : spec.rules) {
    Match& match = rule.match;
    if (match.kind != Match::Payload::exact) continue;
    uint16_t length = static_cast<uint16_t>(match.payload.size());
    if (match.length_min <= length && length <= match.length_max)
      match.length_min = match.length_max = length;
    else
      match.length_min = 1, match.length_max = 0;  // contradicts its own length: never
  }
  return spec;
}

std::vector<PayloadTrie::Key> keys_of(const RuleSpec& spec) {
  std::vector<PayloadTrie::Key> keys;
  for (uint32_t i = 0; i < spec.rules.size(); i++) {
    if (is_keyed(spec.rules[i])) keys.push_back({spec.rules[i].match.payload, i});
  }
  return keys;
}

}  // namespace

Program::Program(RuleSpec spec) : spec_(with_lengths_of_exact(std::move(spec))), trie_(keys_of(spec_)) {
  for (uint32_t i = 0; i < size(); i++) {
    if (!is_keyed(rule(i))) others_.push_back(i);
    if (rule(i).action == Action::count) counters_++;
  }
}

uint32_t Program::match(const Request& request, std::vector<uint32_t>* counted) const {
  if (counted != nullptr) counted->clear();
  uint32_t winner = kNoRule;
  auto try_in_order = [&](std::span<const uint32_t> candidates) {
    for (uint32_t index : candidates) {
      if (index >= winner) return;
      const Rule& candidate = rule(index);
      if (!conditions_hold(candidate.match, request)) continue;
      if (candidate.action != Action::count) {
        winner = index;
        return;
      }
      if (counted != nullptr) counted->push_back(index);
    }
  };
  trie_.walk(request.payload, &winner, try_in_order);
  try_in_order(others_);
  // Those that were found before the winner was, but stand behind it.
  if (counted != nullptr && winner != kNoRule)
    std::erase_if(*counted, [=](uint32_t index) { return index > winner; });
  return winner;
}

}  // namespace ksocket::rules
