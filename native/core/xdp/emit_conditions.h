// The conditions of rules: rules::conditions_hold and what a payload begins with, as instructions.
#pragma once

#include <span>

#include "core/xdp/plan.h"

namespace ksocket::xdp {

// Goes on where the conditions hold, and to `next` where not. Of the payload only what masks say. Uses r1 and
// r2.
void emit_conditions(Assembler& out, const PlannedRule& rule, Label next);

// Bytes `from` to `to` of the payload are those of `wanted`; it is that long, which has been looked at
// before.
void emit_payload_is(Assembler& out, std::span<const uint8_t> wanted, size_t from, size_t to, Label other);

}  // namespace ksocket::xdp
