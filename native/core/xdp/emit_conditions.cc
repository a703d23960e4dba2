#include "core/xdp/emit_conditions.h"

#include <algorithm>

namespace ksocket::xdp {

namespace {

using rules::Cidr;
using rules::Match;

// A word of the Scratch, under a mask, is not `value`: to `other`. Bytes as in memory.
void emit_word_is(Assembler& out, int32_t offset, const uint8_t (&mask)[4], const uint8_t (&value)[4],
                  Label other) {
  int32_t bits = word_of(mask);
  if (bits == 0) return;
  out.load(Size::word, r1, kScratch, offset);
  if (bits != -1) out.alu32(Alu::bit_and, r1, bits);
  out.jump_if32(r1, Condition::not_equal, word_of(value), other);
}

void emit_lengths(Assembler& out, const PlannedRule& rule, Label next) {
  bool any_max = rule.length_max >= kPayloadBytesMax;
  if (rule.length_min == 0 && any_max) return;
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(length));
  if (rule.length_min == rule.length_max) {
    out.jump_if(r1, Condition::not_equal, static_cast<int32_t>(rule.length_min), next);
    return;
  }
  if (rule.length_min > 0) out.jump_if(r1, Condition::less, static_cast<int32_t>(rule.length_min), next);
  if (!any_max) out.jump_if(r1, Condition::greater, static_cast<int32_t>(rule.length_max), next);
}

void emit_mask(Assembler& out, const rules::Mask& mask, Label next) {
  size_t size = mask.mask.size();
  for (size_t at = 0; at < size; at += 4) {
    uint8_t bits[4] = {}, value[4] = {};
    std::copy_n(&mask.mask[at], std::min<size_t>(4, size - at), bits);
    std::copy_n(&mask.value[at], std::min<size_t>(4, size - at), value);
    emit_word_is(out, KSOCKET_SCRATCH(payload) + static_cast<int32_t>(mask.at + at), bits, value, next);
  }
}

// The word of a network's mask at `at`.
void network_mask(int bits, uint8_t (&out)[4]) {
  for (int i = 0; i < 4; i++) {
    int left = std::clamp(bits - 8 * i, 0, 8);
    out[i] = static_cast<uint8_t>(0xff00 >> left);
  }
}

void emit_ipv4_network(Assembler& out, const Cidr& network, Label inside) {
  if (network.prefix_bits == 0) return out.jump(inside);
  uint8_t mask[4];
  network_mask(network.prefix_bits, mask);
  out.move(r2, r1);
  if (network.prefix_bits < 32) out.alu32(Alu::bit_and, r2, word_of(mask));
  out.jump_if32(r2, Condition::equal, word_of(network.bytes), inside);
}

void emit_ipv6_network(Assembler& out, const Cidr& network, int32_t field, Label inside) {
  Label outside = out.label();
  for (int at = 0; at < 16; at += 4) {
    uint8_t mask[4], value[4];
    network_mask(network.prefix_bits - 8 * at, mask);
    std::copy_n(network.bytes + at, 4, value);
    emit_word_is(out, field + at, mask, value, outside);
  }
  out.jump(inside);
  out.bind(outside);
}

void emit_networks(Assembler& out, const std::vector<Cidr>& networks, int32_t field, Label next) {
  if (networks.empty()) return;
  Label ipv6 = out.label(), inside = out.label();
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(is_ipv6));
  out.jump_if(r1, Condition::not_equal, 0, ipv6);
  out.load(Size::word, r1, kScratch, field + 12);
  for (const Cidr& network : networks) {
    if (network.family == 4) emit_ipv4_network(out, network, inside);
  }
  out.jump(next);
  out.bind(ipv6);
  for (const Cidr& network : networks) {
    if (network.family == 6) emit_ipv6_network(out, network, field, inside);
  }
  out.jump(next);
  out.bind(inside);
}

// Bit r1 of `bits`.
void emit_one_of(Assembler& out, uint64_t bits, Label next) {
  out.move64(r2, bits);
  out.alu(Alu::shift_right, r2, r1);
  out.alu(Alu::bit_and, r2, 1);
  out.jump_if(r2, Condition::equal, 0, next);
}

void emit_kernel_conditions(Assembler& out, const Match& match, Label next) {
  if (match.ttl_min > 0 || match.ttl_max < UINT8_MAX) {
    out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(ttl));
    out.jump_if(r1, Condition::less, match.ttl_min, next);
    out.jump_if(r1, Condition::greater, match.ttl_max, next);
  }
  if (match.dscps != rules::kAnyDscp) {
    out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(tos));
    out.alu(Alu::shift_right, r1, 2);
    emit_one_of(out, match.dscps, next);
  }
  if (match.ecns != rules::kAnyEcn) {
    out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(tos));
    out.alu(Alu::bit_and, r1, 3);
    emit_one_of(out, match.ecns, next);
  }
  emit_networks(out, match.locals, KSOCKET_PSEUDO(local), next);
}

}  // namespace

void emit_conditions(Assembler& out, const PlannedRule& rule, Label next) {
  emit_lengths(out, rule, next);
  if (!rule.whole) return;
  const Match& match = rule.rule->match;
  for (const rules::Mask& mask : match.masks) emit_mask(out, mask, next);
  emit_networks(out, match.sources, KSOCKET_PSEUDO(source), next);
  if (match.heeds_kernel) emit_kernel_conditions(out, match, next);
}

void emit_payload_is(Assembler& out, std::span<const uint8_t> wanted, size_t from, size_t to, Label other) {
  for (size_t at = from; at < to; at += 4) {
    uint8_t mask[4] = {}, value[4] = {};
    for (size_t i = 0; i < 4 && at + i < to; i++) mask[i] = 0xff, value[i] = wanted[at + i];
    emit_word_is(out, KSOCKET_SCRATCH(payload) + static_cast<int32_t>(at), mask, value, other);
  }
}

}  // namespace ksocket::xdp
