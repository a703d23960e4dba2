// What a frame has to be before rules are asked: a plain datagram to the socket, whole and undamaged, from
// somebody who may get an answer. Everything else is passed as it is.
#pragma once

#include "core/xdp/emit.h"

namespace ksocket::xdp {

// From the first instruction of the first program on. Behind it kContext, kScratch and the Scratch are there.
// `forwards`: the server has further sockets on this machine, of which only the thread knows.
void emit_checks(Assembler& out, const CompileOptions& options, bool forwards, const Ends& ends);

}  // namespace ksocket::xdp
