// Which rule decides, as rules::Program finds it: those that say how the payload begins by a trie, which is
// code here, the others one by one in their order, and the smallest index wins.
//
// Any part of either may stand in any program of the chain: the best rule so far is in the Scratch.
#pragma once

#include <span>

#include "core/xdp/plan.h"

namespace ksocket::xdp {

// `keyed` in the order of their payloads. Goes on behind it whatever it finds.
void emit_keyed_rules(Assembler& out, std::span<const PlannedRule> keyed, Label pass);

// `others` in their order. `found`: where it goes when one decides, or a smaller index has been found.
void emit_other_rules(Assembler& out, std::span<const PlannedRule> others, Label found, Label pass);

// Before the first.
void emit_no_rule(Assembler& out, Verdict otherwise);

}  // namespace ksocket::xdp
