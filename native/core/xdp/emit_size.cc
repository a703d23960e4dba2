#include "core/xdp/emit_size.h"

namespace ksocket::xdp {

namespace {

using rules::Part;

// `reg` = where `at` is in a payload of r2 bytes.
void emit_clamped(Assembler& out, Register reg, int32_t at) {
  Label inside = out.label();
  if (at == 0) {
    out.move(reg, 0);
  } else if (at >= static_cast<int32_t>(kPayloadBytesMax)) {
    out.move(reg, r2);
  } else if (at > 0) {
    out.move(reg, at);
    out.jump_if(reg, Condition::at_most, r2, inside);
    out.move(reg, r2);
  } else {
    out.move(reg, r2);
    out.alu(Alu::add, reg, at);
    out.jump_if(reg, Condition::signed_at_least, 0, inside);
    out.move(reg, 0);
  }
  out.bind(inside);
}

// Of parts that are always as long: their sizes together. How many are 4 bytes, or 16 of an IPv6 datagram.
struct Sizes {
  uint32_t constant = 0;
  uint32_t addresses = 0;
  uint32_t slices = 0;
};

Sizes sizes_of(const rules::Template& reply) {
  Sizes out;
  for (const Part& part : reply.parts) {
    switch (part.kind) {
      case Part::Kind::literal:
        out.constant += static_cast<uint32_t>(part.end - part.begin);
        break;
      case Part::Kind::request:
        out.slices++;
        break;
      case Part::Kind::source_address:
      case Part::Kind::local_address:
        out.addresses++;
        break;
      case Part::Kind::source_port:
        out.constant += 2;
        break;
      case Part::Kind::time_ntp:
      case Part::Kind::time_unix:
        out.constant += 8;
        break;
      case Part::Kind::counter:
        out.constant += part.counter_bytes;
        break;
      case Part::Kind::ttl:
      case Part::Kind::dscp:
      case Part::Kind::ecn:
        out.constant += 1;
        break;
    }
  }
  return out;
}

}  // namespace

uint32_t least_reply_bytes(const rules::Template& reply) {
  Sizes sizes = sizes_of(reply);
  return sizes.constant + 4 * sizes.addresses;
}

void emit_slice(Assembler& out, int32_t begin, int32_t end) {
  Label forward = out.label();
  out.load(Size::word, r2, kScratch, KSOCKET_SCRATCH(length));  // at most kPayloadBytesMax
  emit_clamped(out, r3, begin);
  emit_clamped(out, r4, end);
  if (begin == 0) return;
  out.alu(Alu::sub, r4, r3);
  out.jump_if(r4, Condition::signed_at_least, 0, forward);
  out.move(r4, 0);
  out.bind(forward);
}

// Each slice is added in memory: what is in a register the verifier would follow along each way it came
// about.
void emit_size(Assembler& out, const rules::Rule& rule, Label refuse, Label pass) {
  constexpr int32_t kSize = KSOCKET_SCRATCH(sized);
  Sizes sizes = sizes_of(rule.reply);
  out.move(r1, 0);
  if (sizes.addresses > 0) {
    out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(is_ipv6));
    out.alu(Alu::mul, r1, static_cast<int32_t>(12 * sizes.addresses));
  }
  out.alu(Alu::add, r1, static_cast<int32_t>(sizes.constant + 4 * sizes.addresses));
  out.store(Size::word, kScratch, kSize, r1);
  for (const Part& part : rule.reply.parts) {
    if (part.kind != Part::Kind::request) continue;
    emit_slice(out, part.begin, part.end);
    out.load(Size::word, r1, kScratch, kSize);
    out.alu(Alu::add, r1, r4);
    out.store(Size::word, kScratch, kSize, r1);
  }
  out.load(Size::word, r1, kScratch, kSize);
  if (rule.amplify) {
    out.jump_if(r1, Condition::greater, static_cast<int32_t>(kReplyBytesMax), refuse);
    out.jump_if(r1, Condition::greater, static_cast<int32_t>(kPayloadBytesMax), pass);
  } else {
    out.load(Size::word, r2, kScratch, KSOCKET_SCRATCH(length));
    out.jump_if(r1, Condition::greater, r2, refuse);
  }
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(reply_bytes), r1);
}

}  // namespace ksocket::xdp
