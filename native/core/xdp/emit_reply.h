// Replies by a template: rules::render, as instructions.
#pragma once

#include "core/xdp/plan.h"

namespace ksocket::xdp {

// Writes the rule's reply into the Scratch. `broken`: where it goes when it is not as long as emit_size() has
// found, which cannot be.
void emit_render(Assembler& out, const PlannedRule& rule, const CompileOptions& options, Label broken);

}  // namespace ksocket::xdp
