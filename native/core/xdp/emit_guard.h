// Who only ever answers our answers: protection/exchanges.h, as instructions.
#pragma once

#include "core/xdp/emit.h"

namespace ksocket::xdp {

// Takes a token of the exchange with the peer, or drops and counts.
void emit_guard(Assembler& out, const Protection& protection);

}  // namespace ksocket::xdp
