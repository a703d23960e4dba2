// Lists and rate limits: what GuardedResponder does before anybody answers.
#pragma once

#include "core/xdp/emit.h"

namespace ksocket::xdp {

// Drops and counts what the lists refuse.
void emit_lists(Assembler& out, const Protection& protection);

// Takes a token of the source's bucket and one of the server's, or drops and counts. `pass`: where it goes
// when there is no place for the source.
void emit_limits(Assembler& out, const Protection& protection, CompileOptions::Clock clock, Label pass);

}  // namespace ksocket::xdp
