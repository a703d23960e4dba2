// What becomes of each rule: compiled, or left to the thread, and why. Decided before anything is written, so
// that what is written fits.
#pragma once

#include <cstdint>
#include <vector>

#include "core/xdp/emit.h"

namespace ksocket::xdp {

// A rule as it is compiled. Of one that is left to the thread, `match` says at least when it may match.
struct PlannedRule {
  uint32_t index = 0;
  const rules::Rule* rule = nullptr;
  bool counts = false;  // and goes on; `verdict` says nothing then
  Verdict verdict = Verdict::pass;
  bool whole = true;        // all of its conditions are compiled, not only payload and length
  uint32_t length_min = 0;  // of all conditions together
  uint32_t length_max = UINT32_MAX;
  size_t match_cost = 0, reply_cost = 0;  // instructions, at most

  // A reply may be made; not of a rule whose replies are all longer than it allows.
  bool renders() const { return verdict == Verdict::reply && reply_cost > 0; }
  bool keyed() const { return rule->match.kind != rules::Match::Payload::any; }
};

struct Plan {
  std::vector<PlannedRule> rules;  // those that may match a datagram that the kernel decides, in their order
  std::vector<RuleFate> fates;     // of all
  Verdict otherwise = Verdict::pass;
  RuleFate otherwise_fate;
};

// How much one program may have: jumps reach 32767 instructions, and the verifier keeps up to 8192 branches.
inline constexpr size_t kProgramCostMax = 16'000;
// Of replies less: the kernel moves what is behind a call when it puts the function's code in its place, so
// that loading takes the square of the size.
inline constexpr size_t kReplyProgramCostMax = 3000;
// Programs that follow each other: 33 at most, MAX_TAIL_CALL_CNT of the kernel.
inline constexpr size_t kMatchingProgramsMax = 24;

Plan plan_rules(const rules::RuleSpec& spec, const CompileOptions& options);

}  // namespace ksocket::xdp
