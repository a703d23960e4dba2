#include "core/xdp/emit.h"

namespace ksocket::xdp {

namespace {

constexpr int32_t kNumberKey = -4;  // on the stack
// bpf_csum_diff takes no more at once where the kernel copies it to a place of that size: before Linux 6.13.
constexpr int32_t kSumBytesMax = 512;

}  // namespace

Ends make_ends(Assembler& out) {
  return {out.label(), out.label(), out.label()};
}

void emit_ends(Assembler& out, const Ends& ends) {
  out.bind(ends.pass);
  emit_counts(out, {{offsetof(KernelCounters, passed)}});
  out.bind(ends.foreign);
  out.move(r0, XDP_PASS);
  out.exit();
  out.bind(ends.broken);
  out.move(r0, XDP_DROP);
  out.exit();
}

void emit_frame_room(Assembler& out, int32_t bytes, Label shorter) {
  out.move(r0, kFrame);
  out.alu(Alu::add, r0, bytes);
  out.jump_if(r0, Condition::greater, kFrameEnd, shorter);
}

void emit_begin(Assembler& out, Label failed) {
  out.move(kContext, r1);
  emit_scratch(out, failed);
}

void emit_scratch(Assembler& out, Label failed) {
  out.move(r1, 0);
  emit_lookup_number(out, MapId::scratch, r1);
  out.jump_if(r0, Condition::equal, 0, failed);
  out.move(kScratch, r0);
}

void emit_lookup(Assembler& out, MapId map) {
  put_map(out, r1, map);
  out.call(Helper::map_lookup_elem);
}

void emit_lookup_number(Assembler& out, MapId map, Register key) {
  out.store(Size::word, Register::fp, kNumberKey, key);
  out.move(r2, Register::fp);
  out.alu(Alu::add, r2, kNumberKey);
  emit_lookup(out, map);
}

// No locked instruction: a processor's counters are its own.
void emit_counts(Assembler& out, std::initializer_list<Count> counts) {
  Label done = out.label();
  out.move(r1, 0);
  emit_lookup_number(out, MapId::counters, r1);
  out.jump_if(r0, Condition::equal, 0, done);
  for (const Count& count : counts) {
    int32_t at = static_cast<int32_t>(count.counter);
    out.load(Size::doubleword, r1, r0, at);
    if (count.field < 0) {
      out.alu(Alu::add, r1, 1);
    } else {
      out.load(Size::word, r2, kScratch, count.field);
      out.alu(Alu::add, r1, r2);
    }
    out.store(Size::doubleword, r0, at, r1);
  }
  out.bind(done);
}

void emit_sum_of_bytes(Assembler& out, int32_t offset, int32_t length_field, Label too_long) {
  Label done = out.label();
  out.move(r9, 0);
  out.load(Size::word, r8, kScratch, length_field);
  out.jump_if(r8, Condition::greater, kPayloadBytesMax, too_long);
  out.alu(Alu::add, r8, 3);
  out.alu(Alu::bit_and, r8, -4);
  for (int32_t from = 0; from < static_cast<int32_t>(kPayloadBytesMax); from += kSumBytesMax) {
    Label fits = out.label();
    out.jump_if(r8, Condition::at_most, from, done);
    out.move(r4, r8);
    out.alu(Alu::sub, r4, from);
    out.jump_if(r4, Condition::at_most, kSumBytesMax, fits);
    out.move(r4, kSumBytesMax);
    out.bind(fits);
    out.move(r1, 0);
    out.move(r2, 0);
    out.move(r3, kScratch);
    out.alu(Alu::add, r3, offset + from);
    out.move(r5, r9);
    out.call(Helper::csum_diff);
    out.move(r9, r0);
  }
  out.bind(done);
  out.move(r0, r9);
}

void emit_sum_of_words(Assembler& out, Register base, int32_t offset, int32_t bytes) {
  out.move(r1, 0);
  out.move(r2, 0);
  out.move(r3, base);
  out.alu(Alu::add, r3, offset);
  out.move(r4, bytes);
  out.call(Helper::csum_diff);
}

void emit_fold(Assembler& out) {
  for (int i = 0; i < 2; i++) {
    out.alu32(Alu::move, r1, r0);
    out.alu32(Alu::shift_right, r1, 16);
    out.alu32(Alu::bit_and, r0, 0xffff);
    out.alu32(Alu::add, r0, r1);
  }
}

void emit_payload_copy(Assembler& out, const PayloadCopy& copy, Label failed) {
  Label empty = out.label();
  out.load(Size::word, r4, kScratch, copy.length);
  out.jump_if(r4, Condition::greater, kPayloadBytesMax, failed);
  out.move(r3, kScratch);
  out.alu(Alu::add, r3, r4);
  for (int32_t at = 0; at < copy.zeroes; at += 8) out.store(Size::doubleword, r3, copy.bytes + at, 0);
  out.jump_if(r4, Condition::equal, 0, empty);
  out.move(r1, kContext);
  out.load(Size::word, r2, kScratch, KSOCKET_SCRATCH(headers));
  out.move(r3, kScratch);
  out.alu(Alu::add, r3, copy.bytes);
  out.call(copy.helper);
  out.jump_if(r0, Condition::not_equal, 0, failed);
  out.bind(empty);
  emit_sum_of_bytes(out, copy.bytes, copy.length, failed);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(sum), r0);
}

void emit_whole_sum(Assembler& out) {
  out.load(Size::word, r5, kScratch, KSOCKET_SCRATCH(sum));
  emit_sum_of_words(out, kScratch, KSOCKET_SCRATCH(pseudo), sizeof(Scratch::Pseudo));
  emit_fold(out);
}

void emit_partial_sum(Assembler& out) {
  out.load(Size::word, r5, kScratch, KSOCKET_PSEUDO(length_again));  // and the protocol
  emit_sum_of_words(out, kScratch, KSOCKET_PSEUDO(source), 32);
  emit_fold(out);
}

void emit_monotonic(Assembler& out, CompileOptions::Clock clock) {
  if (clock != CompileOptions::Clock::stands) return out.call(Helper::ktime_get_ns);
  put_map_value(out, r1, MapId::options, offsetof(Options, clock_offset_ns));
  out.load(Size::doubleword, r0, r1, 0);
}

void emit_tail_call(Assembler& out, MapId programs, uint32_t place, Label failed) {
  out.move(r1, kContext);
  put_map(out, r2, programs);
  out.move(r3, static_cast<int32_t>(place));
  out.call(Helper::tail_call);
  out.jump(failed);
}

std::optional<Program> program_of(const Assembler& assembler, const char* name) {
  auto finished = assembler.finish();
  if (!finished) return std::nullopt;
  Program out{name, std::move(finished->code), {}};
  for (const auto& reference : finished->maps) {
    out.relocations.push_back({reference.slot, static_cast<MapId>(reference.map)});
  }
  return out;
}

}  // namespace ksocket::xdp
