// Who only ever answers our answers: protection/exchanges.h, as instructions.
#pragma once

#include "core/xdp/emit.h"

namespace ksocket::xdp {

struct Guard {
  std::optional<RateLimit> repeats;  // none: there is no guard
  CompileOptions::Clock clock = CompileOptions::Clock::monotonic;
  uint64_t seed = 0;  // of hashes
};

// Takes a token of the exchange with the peer, or drops and counts. Uses r0 to r5, r8 and r9.
void emit_guard(Assembler& out, const Guard& guard);

// What is in Scratch::reply, with 8 zeroes behind it, is said to the peer: what says it, too, answers it.
// Uses r0 to r5.
void emit_said(Assembler& out, const Guard& guard);

}  // namespace ksocket::xdp
