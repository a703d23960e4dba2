// Makes the answer of the frame that the request came in, and sends it back.
#pragma once

#include "core/xdp/emit_guard.h"

namespace ksocket::xdp {

// The frame has room for an answer of Scratch::reply_bytes, or the datagram is left to the thread: then it is
// as it was. Uses r0 to r5 and r8.
void emit_room(Assembler& out, Label pass);

// Ends the program. `reply`: the payload is in the Scratch; `echo`: it stays as it is.
struct Answer {
  Label reply, echo;
};
void emit_answer(Assembler& out, const CompileOptions& options, const Guard& guard, const Answer& from,
                 Label broken);

}  // namespace ksocket::xdp
