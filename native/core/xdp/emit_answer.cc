#include "core/xdp/emit_answer.h"

namespace ksocket::xdp {

namespace {

constexpr int32_t kMtu = -8;  // on the stack

// r2: how many bytes the frame has to grow by; negative: it is too long.
void emit_growth(Assembler& out) {
  out.move(r1, kContext);
  out.call(Helper::xdp_get_buff_len);
  out.load(Size::word, r2, kScratch, KSOCKET_SCRATCH(headers));
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(reply_bytes));
  out.alu(Alu::add, r2, r1);
  out.alu(Alu::sub, r2, r0);
}

// r1: the length of the answer from the UDP header on and `more` bytes before it, in network order.
void emit_length(Assembler& out, int32_t more) {
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(reply_bytes));
  out.alu(Alu::add, r1, kUdpBytes + more);
  out.big_endian(r1, 16);
}

// Addresses and ports change places: their sum stays. 0 would say that there is none (RFC 768).
void emit_checksum(Assembler& out) {
  Label some = out.label(), partial = out.label();
  emit_length(out, 0);
  out.store(Size::half, kScratch, KSOCKET_PSEUDO(length), r1);
  out.store(Size::half, kScratch, KSOCKET_PSEUDO(length_again), r1);
  out.store(Size::half, kScratch, KSOCKET_PSEUDO(checksum), 0);
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(is_partial));
  out.jump_if(r1, Condition::not_equal, 0, partial);
  emit_whole_sum(out);
  out.alu(Alu::bit_xor, r0, 0xffff);
  out.jump_if(r0, Condition::not_equal, 0, some);
  out.move(r0, 0xffff);
  out.jump(some);
  out.bind(partial);
  emit_partial_sum(out);
  out.bind(some);
  out.store(Size::half, kScratch, KSOCKET_PSEUDO(checksum), r0);
}

void emit_ethernet(Assembler& out, int32_t bytes, Label broken) {
  out.load(Size::word, kFrame, kContext, offsetof(xdp_md, data));
  out.load(Size::word, r1, kContext, offsetof(xdp_md, data_end));
  out.move(r0, kFrame);
  out.alu(Alu::add, r0, bytes);
  out.jump_if(r0, Condition::greater, r1, broken);
  out.load(Size::word, r0, kFrame, 0);
  out.load(Size::half, r1, kFrame, 4);
  out.load(Size::word, r2, kFrame, 6);
  out.load(Size::half, r3, kFrame, 10);
  out.store(Size::word, kFrame, 0, r2);
  out.store(Size::half, kFrame, 4, r3);
  out.store(Size::word, kFrame, 6, r0);
  out.store(Size::half, kFrame, 10, r1);
}

void emit_udp(Assembler& out, int32_t udp) {
  out.load(Size::half, r1, kScratch, KSOCKET_PSEUDO(local_port));
  out.store(Size::half, kFrame, udp, r1);
  out.load(Size::half, r1, kScratch, KSOCKET_PSEUDO(source_port));
  out.store(Size::half, kFrame, udp + 2, r1);
  out.load(Size::word, r1, kScratch, KSOCKET_PSEUDO(length));  // and the checksum
  out.store(Size::word, kFrame, udp + 4, r1);
}

// As the kernel writes the header of an answer that may not be fragmented, which needs no identification
// (RFC 6864).
void emit_ipv4(Assembler& out, const CompileOptions& options, Label broken) {
  constexpr int32_t kIp = kEthernetBytes, kUdp = kIp + kIpv4Bytes;
  static constexpr uint8_t kNoFragments[4] = {0, 0, 0x40, 0};
  emit_ethernet(out, kUdp + kUdpBytes, broken);
  emit_length(out, kIpv4Bytes);
  out.store(Size::half, kFrame, kIp + 2, r1);
  out.store(Size::byte, kFrame, kIp + 1, options.tos);
  out.store(Size::word, kFrame, kIp + 4, word_of(kNoFragments));
  out.store(Size::byte, kFrame, kIp + 8, options.ttl);
  out.store(Size::half, kFrame, kIp + 10, 0);
  out.load(Size::word, r1, kScratch, KSOCKET_PSEUDO(local) + 12);
  out.store(Size::word, kFrame, kIp + 12, r1);
  out.load(Size::word, r1, kScratch, KSOCKET_PSEUDO(source) + 12);
  out.store(Size::word, kFrame, kIp + 16, r1);
  emit_udp(out, kUdp);
  out.move(r5, 0);
  emit_sum_of_words(out, kFrame, kIp, kIpv4Bytes);
  emit_fold(out);
  out.alu(Alu::bit_xor, r0, 0xffff);
  out.store(Size::half, kFrame, kIp + 10, r0);
}

void emit_ipv6(Assembler& out, const CompileOptions& options, Label broken) {
  constexpr int32_t kIp = kEthernetBytes, kUdp = kIp + kIpv6Bytes;
  const uint8_t first[4] = {static_cast<uint8_t>(0x60 | options.traffic_class >> 4),
                            static_cast<uint8_t>(options.traffic_class << 4), 0, 0};
  emit_ethernet(out, kUdp + kUdpBytes, broken);
  out.store(Size::word, kFrame, kIp, word_of(first));
  emit_length(out, 0);
  out.store(Size::half, kFrame, kIp + 4, r1);
  out.store(Size::byte, kFrame, kIp + 7, options.ttl);
  for (int32_t at = 0; at < 16; at += 8) {
    out.load(Size::doubleword, r1, kScratch, KSOCKET_PSEUDO(local) + at);
    out.store(Size::doubleword, kFrame, kIp + 8 + at, r1);
    out.load(Size::doubleword, r1, kScratch, KSOCKET_PSEUDO(source) + at);
    out.store(Size::doubleword, kFrame, kIp + 24 + at, r1);
  }
  emit_udp(out, kUdp);
}

}  // namespace

void emit_room(Assembler& out, Label pass) {
  Label fits = out.label();
  emit_growth(out);
  out.jump_if(r2, Condition::signed_at_most, 0, fits);
  out.move(r8, r2);
  // What is no longer than the request the path carries, and 1280 bytes each (RFC 8200, section 5). Of what
  // is longer only the stack knows: it hears from routers.
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(headers));
  out.load(Size::word, r3, kScratch, KSOCKET_SCRATCH(reply_bytes));
  out.alu(Alu::add, r1, r3);
  out.jump_if(r1, Condition::greater, static_cast<int32_t>(kPathBytesMin) + kEthernetBytes, pass);
  // bpf_check_mtu(ctx, the device, &mtu, how much more, 0): not longer than what the device sends.
  out.store(Size::word, Register::fp, kMtu, 0);
  out.move(r4, r2);
  out.move(r1, kContext);
  out.move(r2, 0);
  out.move(r3, Register::fp);
  out.alu(Alu::add, r3, kMtu);
  out.move(r5, 0);
  out.call(Helper::check_mtu);
  out.jump_if(r0, Condition::not_equal, 0, pass);
  out.move(r1, kContext);
  out.move(r2, r8);
  out.call(Helper::xdp_adjust_tail);
  out.jump_if(r0, Condition::not_equal, 0, pass);
  out.bind(fits);
}

void emit_answer(Assembler& out, const CompileOptions& options, const Guard& guard, const Answer& from,
                 Label broken) {
  Label as_long = out.label(), ipv6 = out.label(), done = out.label();
  out.bind(from.reply);
  emit_payload_copy(out, {Helper::xdp_store_bytes, KSOCKET_SCRATCH(reply), KSOCKET_SCRATCH(reply_bytes), 8},
                    broken);
  emit_said(out, guard);
  out.bind(from.echo);
  emit_growth(out);
  out.jump_if(r2, Condition::signed_at_least, 0, as_long);
  out.move(r1, kContext);
  out.call(Helper::xdp_adjust_tail);
  out.jump_if(r0, Condition::not_equal, 0, broken);
  out.bind(as_long);
  emit_checksum(out);
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(is_ipv6));
  out.jump_if(r1, Condition::not_equal, 0, ipv6);
  emit_ipv4(out, options, broken);
  out.jump(done);
  out.bind(ipv6);
  emit_ipv6(out, options, broken);
  out.bind(done);
  emit_counts(out, {{offsetof(KernelCounters, answered)},
                    {offsetof(KernelCounters, answered_bytes), KSOCKET_SCRATCH(reply_bytes)}});
  out.move(r0, XDP_TX);
  out.exit();
}

}  // namespace ksocket::xdp
