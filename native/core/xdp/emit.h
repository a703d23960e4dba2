// What the parts of the compiler share: where things are kept, and the phrases that recur.
//
// r6 is the context and r7 the processor's Scratch from a program's beginning to its end; r8 and r9 live
// through calls, and each part uses them as it likes. What one part tells the next is in the Scratch, which
// the verifier does not follow: what it need not tell apart it looks at once.
#pragma once

#include <cstring>
#include <initializer_list>

#include "core/bpf/ebpf_assembler.h"
#include "core/xdp/compile.h"

namespace ksocket::xdp {

using bpf::Alu;
using bpf::Condition;
using bpf::Helper;
using bpf::Register;
using bpf::Size;
using enum bpf::Register;
using Assembler = bpf::EbpfAssembler;
using Label = Assembler::Label;

inline constexpr Register kContext = r6, kScratch = r7;
// While the frame is looked at.
inline constexpr Register kFrame = r8, kFrameEnd = r9;

inline constexpr uint16_t kEthertypeIpv4 = 0x0800, kEthertypeIpv6 = 0x86dd;
inline constexpr int32_t kEthernetBytes = 14, kIpv4Bytes = 20, kIpv6Bytes = 40, kUdpBytes = 8;
inline constexpr int32_t kProtocolUdp = 17;

#define KSOCKET_SCRATCH(field) static_cast<int32_t>(offsetof(::ksocket::xdp::Scratch, field))
#define KSOCKET_PSEUDO(field)                                      \
  static_cast<int32_t>(offsetof(::ksocket::xdp::Scratch, pseudo) + \
                       offsetof(::ksocket::xdp::Scratch::Pseudo, field))

// What becomes of the datagram, as far as the rules that were looked at say.
enum class Verdict : uint8_t { pass, drop, echo, reply, refuse };

// Ends of a program that anyone may jump to.
struct Ends {
  Label foreign;  // not a datagram to the socket: passed without a word
  Label pass;     // left to the thread, and counted
  Label broken;   // what cannot be, once something has been counted already
};
Ends make_ends(Assembler& out);
void emit_ends(Assembler& out, const Ends& ends);

inline void put_map(Assembler& out, Register to, MapId map) {
  out.map(to, static_cast<uint8_t>(map));
}
inline void put_map_value(Assembler& out, Register to, MapId map, uint32_t offset) {
  out.map_value(to, static_cast<uint8_t>(map), offset);
}

// Bytes as the number that a load of four of them gives on this machine.
inline int32_t word_of(const uint8_t* bytes) {
  int32_t out;
  std::memcpy(&out, bytes, sizeof out);
  return out;
}
inline int32_t half_of(const uint8_t* bytes) {
  uint16_t out;
  std::memcpy(&out, bytes, sizeof out);
  return out;
}
inline int32_t network_half(uint16_t value) {
  uint8_t bytes[2] = {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
  return half_of(bytes);
}

// The frame has so many bytes. Uses r0.
void emit_frame_room(Assembler& out, int32_t bytes, Label shorter);
// kContext and kScratch. Uses r0 to r5.
void emit_begin(Assembler& out, Label failed);
void emit_scratch(Assembler& out, Label failed);
// Looks up the key that r2 points to; r0 is the value's address or 0.
void emit_lookup(Assembler& out, MapId map);
// Likewise the number in `key`, which goes over the stack.
void emit_lookup_number(Assembler& out, MapId map, Register key);
// Adds to counters of KernelCounters. Uses r0 to r5.
struct Count {
  size_t counter;
  int32_t field = -1;  // of the Scratch, 32 bits: how much; none: 1
};
void emit_counts(Assembler& out, std::initializer_list<Count> counts);
// r0: the ones' complement sum (RFC 1071) of as many bytes of the Scratch as `length_field` says, from
// `offset` on; those up to the next multiple of 4 are 0. Uses r1 to r5, r8 and r9.
void emit_sum_of_bytes(Assembler& out, int32_t offset, int32_t length_field, Label too_long);
// r0: the sum of `bytes` bytes, a multiple of 4, and r5. Uses r1 to r5.
void emit_sum_of_words(Assembler& out, Register base, int32_t offset, int32_t bytes);
// r0 from a sum of 32 bits to 16. Uses r1.
void emit_fold(Assembler& out);
// Copies the payload with its checksum's part, Scratch::sum: from the frame (Helper::xdp_load_bytes) or to it
// (xdp_store_bytes). So many bytes behind it, a multiple of 8, are made 0.
struct PayloadCopy {
  Helper helper;
  int32_t bytes, length;  // fields of the Scratch
  int32_t zeroes;
};
void emit_payload_copy(Assembler& out, const PayloadCopy& copy, Label failed);
// r0: the whole sum of a datagram, of Scratch::pseudo and Scratch::sum; 0xffff where its checksum is right.
// Uses r1 to r5.
void emit_whole_sum(Assembler& out);
// r0: that of its addresses, length and protocol. It is what the field has where a device is to sum the
// datagram (CHECKSUM_PARTIAL of the kernel).
void emit_partial_sum(Assembler& out);
// r0: nanoseconds of a clock that never goes back, or the time of the options where the clock stands.
void emit_monotonic(Assembler& out, CompileOptions::Clock clock);
// Goes on with another program, which begins with emit_begin().
void emit_tail_call(Assembler& out, MapId programs, uint32_t place, Label failed);

// None: a jump is too far.
std::optional<Program> program_of(const Assembler& assembler, const char* name);

}  // namespace ksocket::xdp
