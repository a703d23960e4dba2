#include "core/xdp/emit_checks.h"

namespace ksocket::xdp {

namespace {

// lo is the first device of each network namespace: LOOPBACK_IFINDEX of the kernel.
constexpr int32_t kLoopbackIndex = 1;

int32_t network_word(uint32_t value) {
  uint8_t bytes[4] = {static_cast<uint8_t>(value >> 24), static_cast<uint8_t>(value >> 16),
                      static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
  return word_of(bytes);
}

void emit_own_scratch(Assembler& out, Label failed) {
  emit_scratch(out, failed);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(is_partial), 0);
  out.move(r1, kContext);
  out.call(Helper::xdp_get_buff_len);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(frame), r0);
}

// r1: the length that the IP header gives for itself and what follows, or for what follows (`counted_from` is
// where that begins): all of it is in the frame, which may be padded, and UDP says the same.
void emit_lengths(Assembler& out, int32_t counted_from, int32_t udp, Label pass) {
  out.load(Size::word, r0, kScratch, KSOCKET_SCRATCH(frame));
  out.move(r2, r1);
  out.alu(Alu::add, r2, counted_from);
  out.jump_if(r2, Condition::greater, r0, pass);
  out.alu(Alu::sub, r1, udp - counted_from);
  out.load(Size::half, r2, kFrame, udp + 4);
  out.big_endian(r2, 16);
  out.jump_if(r1, Condition::not_equal, r2, pass);
  out.jump_if(r2, Condition::less, kUdpBytes, pass);
  out.alu(Alu::sub, r2, kUdpBytes);
  out.jump_if(r2, Condition::greater, kPayloadBytesMax, pass);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(length), r2);
}

void emit_udp_fields(Assembler& out, int32_t udp, Label pass) {
  out.load(Size::word, r1, kFrame, udp);
  out.store(Size::word, kScratch, KSOCKET_PSEUDO(source_port), r1);
  out.load(Size::half, r1, kFrame, udp);
  out.jump_if(r1, Condition::equal, 0, pass);
  out.big_endian(r1, 16);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(source_port), r1);
  out.load(Size::word, r1, kFrame, udp + 4);
  out.store(Size::word, kScratch, KSOCKET_PSEUDO(length), r1);
  out.load(Size::half, r1, kFrame, udp + 4);
  out.store(Size::half, kScratch, KSOCKET_PSEUDO(length_again), r1);
  out.store(Size::half, kScratch, KSOCKET_PSEUDO(protocol), network_half(kProtocolUdp));
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(headers), udp + kUdpBytes);
}

// UDP to the socket's port: where the IP header has what.
struct Layout {
  int32_t protocol, length, counted_from, udp;
};
void emit_datagram(Assembler& out, const Layout& at, const CompileOptions& options, const Ends& ends) {
  out.load(Size::byte, r0, kFrame, at.protocol);
  out.jump_if(r0, Condition::not_equal, kProtocolUdp, ends.foreign);
  out.load(Size::half, r0, kFrame, at.udp + 2);
  out.jump_if(r0, Condition::not_equal, network_half(options.port), ends.foreign);
  emit_own_scratch(out, ends.foreign);
  out.load(Size::half, r1, kFrame, at.length);
  out.big_endian(r1, 16);
  emit_lengths(out, at.counted_from, at.udp, ends.pass);
  emit_udp_fields(out, at.udp, ends.pass);
}

void emit_mapped(Assembler& out, int32_t field, int32_t address) {
  out.store(Size::doubleword, kScratch, field, 0);
  out.store(Size::word, kScratch, field + 8, network_word(0xffff));
  out.load(Size::word, r1, kFrame, address);
  out.store(Size::word, kScratch, field + 12, r1);
}

void emit_whole(Assembler& out, int32_t field, int32_t address) {
  for (int32_t at = 0; at < 16; at += 8) {
    out.load(Size::doubleword, r1, kFrame, address + at);
    out.store(Size::doubleword, kScratch, field + at, r1);
  }
}

// RFC 791. No options, no fragments.
void emit_ipv4(Assembler& out, const CompileOptions& options, const Ends& ends) {
  constexpr int32_t kIp = kEthernetBytes, kUdp = kIp + kIpv4Bytes;
  out.load(Size::byte, r0, kFrame, kIp);
  out.jump_if(r0, Condition::not_equal, 0x45, ends.foreign);
  out.load(Size::half, r0, kFrame, kIp + 6);
  out.jump_if(r0, Condition::any_bit, network_half(0xbfff), ends.foreign);
  emit_datagram(out, {.protocol = kIp + 9, .length = kIp + 2, .counted_from = kIp, .udp = kUdp}, options,
                ends);
  emit_mapped(out, KSOCKET_PSEUDO(source), kIp + 12);
  emit_mapped(out, KSOCKET_PSEUDO(local), kIp + 16);
  // This network (0.0.0.0/8), groups, reserved ones and the limited broadcast (RFC 6890).
  out.load(Size::byte, r1, kFrame, kIp + 12);
  out.jump_if(r1, Condition::equal, 0, ends.pass);
  out.jump_if(r1, Condition::at_least, 224, ends.pass);
  out.load(Size::byte, r1, kFrame, kIp + 8);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(ttl), r1);
  out.load(Size::byte, r1, kFrame, kIp + 1);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(tos), r1);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(is_ipv6), 0);
  out.move(r5, 0);
  emit_sum_of_words(out, kFrame, kIp, kIpv4Bytes);
  emit_fold(out);
  out.jump_if(r0, Condition::not_equal, 0xffff, ends.pass);
}

// RFC 8200. No extension headers; RFC 768's "no checksum" is not for IPv6.
void emit_ipv6(Assembler& out, const CompileOptions& options, const Ends& ends) {
  constexpr int32_t kIp = kEthernetBytes, kUdp = kIp + kIpv6Bytes;
  emit_frame_room(out, kUdp + kUdpBytes, ends.foreign);
  out.load(Size::byte, r0, kFrame, kIp);
  out.alu(Alu::bit_and, r0, 0xf0);
  out.jump_if(r0, Condition::not_equal, 0x60, ends.foreign);
  emit_datagram(out, {.protocol = kIp + 6, .length = kIp + 4, .counted_from = kUdp, .udp = kUdp}, options,
                ends);
  emit_whole(out, KSOCKET_PSEUDO(source), kIp + 8);
  emit_whole(out, KSOCKET_PSEUDO(local), kIp + 24);
  out.load(Size::half, r1, kFrame, kUdp + 6);
  out.jump_if(r1, Condition::equal, 0, ends.pass);
  out.load(Size::byte, r1, kFrame, kIp + 8);
  out.jump_if(r1, Condition::equal, 0xff, ends.pass);
  // Of those that begin with 64 zeroes, ::1 only: neither :: nor IPv4-mapped ones, which are never on a wire.
  for (int32_t field : {KSOCKET_PSEUDO(source), KSOCKET_PSEUDO(local)}) {
    Label usual = out.label();
    out.load(Size::doubleword, r1, kScratch, field);
    out.jump_if(r1, Condition::not_equal, 0, usual);
    out.load(Size::doubleword, r1, kScratch, field + 8);
    out.big_endian(r1, 64);
    out.jump_if(r1, Condition::not_equal, 1, ends.pass);
    out.bind(usual);
  }
  out.load(Size::byte, r1, kFrame, kIp + 7);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(ttl), r1);
  out.load(Size::half, r1, kFrame, kIp);
  out.big_endian(r1, 16);
  out.alu(Alu::shift_right, r1, 4);
  out.alu(Alu::bit_and, r1, 0xff);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(tos), r1);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(is_ipv6), 1);
}

// r0: what is known of an address, 0 if nothing is.
void emit_flags(Assembler& out, int32_t field) {
  Label unknown = out.label();
  out.move(r2, kScratch);
  out.alu(Alu::add, r2, field);
  emit_lookup(out, MapId::addresses);
  out.jump_if(r0, Condition::equal, 0, unknown);
  out.load(Size::word, r0, r0, 0);
  out.bind(unknown);
}

// To us, and not from us: what comes with our address from outside was forged (RFC 1812, section 5.3.8), and
// what comes from our port, too, would be answered for ever. So may be what comes from a socket of ours to a
// back end.
void emit_addresses(Assembler& out, const CompileOptions& options, bool forwards, const Ends& ends) {
  Label local = out.label(), other = out.label();
  Label reachable = out.label();
  emit_flags(out, KSOCKET_PSEUDO(local));
  out.move(r1, r0);
  out.alu(Alu::bit_and, r1, static_cast<int32_t>(kAddressServed | kAddressBroadcast));
  out.jump_if(r1, Condition::not_equal, static_cast<int32_t>(kAddressServed), ends.foreign);
  out.alu(Alu::bit_and, r0, static_cast<int32_t>(kAddressLoopback));
  out.jump_if(r0, Condition::equal, 0, reachable);
  out.load(Size::word, r1, kContext, offsetof(xdp_md, ingress_ifindex));
  out.jump_if(r1, Condition::not_equal, kLoopbackIndex, ends.foreign);
  out.bind(reachable);
  emit_flags(out, KSOCKET_PSEUDO(source));
  out.jump_if(r0, Condition::any_bit, static_cast<int32_t>(kAddressBroadcast), ends.pass);
  out.jump_if(r0, Condition::any_bit, static_cast<int32_t>(kAddressLocal), local);
  // 127.0.0.0/8 is local as a whole.
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(is_ipv6));
  out.jump_if(r1, Condition::not_equal, 0, other);
  out.load(Size::byte, r1, kScratch, KSOCKET_PSEUDO(source) + 12);
  out.jump_if(r1, Condition::not_equal, 127, other);
  out.bind(local);
  if (forwards) out.jump(ends.pass);
  out.load(Size::word, r1, kContext, offsetof(xdp_md, ingress_ifindex));
  out.jump_if(r1, Condition::not_equal, kLoopbackIndex, ends.pass);
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(source_port));
  out.jump_if(r1, Condition::equal, options.port, ends.pass);
  out.bind(other);
}

// Zeroes behind it, so that it can be read in words at any offset.
void emit_payload(Assembler& out, Label pass) {
  emit_payload_copy(out, {Helper::xdp_load_bytes, KSOCKET_SCRATCH(payload), KSOCKET_SCRATCH(length), 16},
                    pass);
}

// What a program of this machine has sent has not been summed yet where it could be left to a device. A frame
// that generic XDP sends back is still to be summed then; one that native XDP sends is not.
void emit_checksum(Assembler& out, Label pass) {
  Label good = out.label();
  out.load(Size::half, r1, kScratch, KSOCKET_PSEUDO(checksum));
  out.jump_if(r1, Condition::equal, 0, good);  // IPv4: the sender has not computed any
  emit_whole_sum(out);
  out.jump_if(r0, Condition::equal, 0xffff, good);
  emit_partial_sum(out);
  out.load(Size::half, r1, kScratch, KSOCKET_PSEUDO(checksum));
  out.jump_if(r0, Condition::not_equal, r1, pass);
  out.load(Size::word, r1, kContext, offsetof(xdp_md, ingress_ifindex));
  emit_lookup_number(out, MapId::generic, r1);
  out.jump_if(r0, Condition::equal, 0, good);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(is_partial), 1);
  out.bind(good);
}

}  // namespace

void emit_checks(Assembler& out, const CompileOptions& options, bool forwards, const Ends& ends) {
  Label ipv6 = out.label(), both = out.label();
  out.move(kContext, r1);
  out.load(Size::word, kFrame, kContext, offsetof(xdp_md, data));
  out.load(Size::word, kFrameEnd, kContext, offsetof(xdp_md, data_end));
  emit_frame_room(out, kEthernetBytes + kIpv4Bytes + kUdpBytes, ends.foreign);
  out.load(Size::half, r0, kFrame, 12);
  if (options.ipv6) out.jump_if(r0, Condition::equal, network_half(kEthertypeIpv6), ipv6);
  if (options.ipv4) {
    out.jump_if(r0, Condition::not_equal, network_half(kEthertypeIpv4), ends.foreign);
    emit_ipv4(out, options, ends);
    if (options.ipv6) out.jump(both);
  } else {
    out.jump_if(r0, Condition::not_equal, network_half(kEthertypeIpv6), ends.foreign);
  }
  out.bind(ipv6);
  if (options.ipv6) emit_ipv6(out, options, ends);
  out.bind(both);
  emit_addresses(out, options, forwards, ends);
  emit_payload(out, ends.pass);
  emit_checksum(out, ends.pass);
}

}  // namespace ksocket::xdp
