#include "core/bpf/ebpf_assembler.h"

#include <gtest/gtest.h>

#include "core/bpf/disassemble.h"

namespace ksocket::bpf {
namespace {

using enum Register;
using Lines = std::vector<std::string>;

Lines text_of(const EbpfAssembler& out) {
  auto program = out.finish();
  if (!program) return {"unfinished"};
  return disassemble(program->code, [&](uint32_t place) {
    for (const auto& reference : program->maps) {
      if (reference.slot == place) return "m" + std::to_string(reference.map);
    }
    return std::string("?");
  });
}

TEST(EbpfAssembler, writes_what_the_disassembler_reads) {
  EbpfAssembler out;
  auto end = out.label();
  out.move(r1, -5);
  out.move64(r2, 0xfedcba9876543210);
  out.alu(Alu::add, r1, r2);
  out.alu32(Alu::shift_right, r3, 7);
  out.alu(Alu::arithmetic_shift_right, r3, r4);
  out.alu(Alu::negate, r3, 0);
  out.big_endian(r3, 16);
  out.load(Size::half, r4, r10, -12);
  out.store(Size::doubleword, r7, 300, r4);
  out.store(Size::byte, r7, 1, 255);
  out.fetch_add(r8, 8, r1);
  out.atomic_add(r8, 16, r2);
  out.compare_exchange(r8, 0, r5);
  out.map(r1, 3);
  out.map_value(r2, 4, 40);
  out.call(Helper::map_lookup_elem);
  out.jump_if(r0, Condition::not_equal, 0, end);
  out.jump_if32(r1, Condition::signed_less, r2, end);
  out.jump(end);
  out.bind(end);
  out.exit();
  EXPECT_EQ(text_of(out), (Lines{"0: r1 = -5",
                                 "1: r2 = 0xfedcba9876543210 ll",
                                 "3: r1 += r2",
                                 "4: w3 >>= 7",
                                 "5: r3 s>>= r4",
                                 "6: r3 = -r3",
                                 "7: r3 = be16 r3",
                                 "8: r4 = *(u16 *)(r10 - 12)",
                                 "9: *(u64 *)(r7 + 300) = r4",
                                 "10: *(u8 *)(r7 + 1) = 255",
                                 "11: r1 = fetch_add(*(u64 *)(r8 + 8), r1)",
                                 "12: lock *(u64 *)(r8 + 16) += r2",
                                 "13: r0 = cmpxchg(*(u64 *)(r8 + 0), r0, r5)",
                                 "14: r1 = map m3",
                                 "16: r2 = value of m4 + 40",
                                 "18: call map_lookup_elem",
                                 "19: if r0 != 0 goto 22",
                                 "20: if w1 s< w2 goto 22",
                                 "21: goto 22",
                                 "22: exit"}));
  EXPECT_EQ(out.branches(), 2u);
}

TEST(EbpfAssembler, jumps_back_as_well) {
  EbpfAssembler out;
  out.move(r0, 0);
  auto again = out.here();
  out.alu(Alu::add, r0, 1);
  out.jump_if(r0, Condition::less, 10, again);
  out.exit();
  EXPECT_EQ(text_of(out), (Lines{"0: r0 = 0", "1: r0 += 1", "2: if r0 < 10 goto 1", "3: exit"}));
}

TEST(EbpfAssembler, leaves_out_what_nothing_leads_to) {
  EbpfAssembler out;
  auto end = out.label(), never = out.label();
  out.jump(end);
  out.bind(never);
  out.map(r1, 1);
  out.jump_if(r1, Condition::equal, 0, never);
  out.exit();
  out.bind(end);
  out.map(r1, 2);
  out.exit();
  EXPECT_EQ(text_of(out), (Lines{"0: goto 1", "1: r1 = map m2", "3: exit"}));
  EXPECT_EQ(out.finish()->maps.size(), 1u);
}

// A conditional jump and an unconditional one have 16 bits.
TEST(EbpfAssembler, refuses_a_jump_that_is_too_long) {
  for (int between : {32767, 32768}) {
    EbpfAssembler out;
    auto end = out.label();
    out.jump_if(r1, Condition::equal, 0, end);
    for (int i = 0; i < between; i++) out.move(r0, i);
    out.bind(end);
    out.exit();
    EXPECT_EQ(out.finish().has_value(), between == 32767);
  }
}

TEST(EbpfAssembler, refuses_a_label_that_is_bound_nowhere) {
  EbpfAssembler out;
  out.jump(out.label());
  out.exit();
  EXPECT_FALSE(out.finish().has_value());
}

TEST(Disassemble, tells_what_it_does_not_know) {
  bpf_insn odd{};
  odd.code = 0x8d;  // call by a register
  odd.imm = 5;
  EXPECT_EQ(disassemble(std::span(&odd, 1), [](uint32_t) { return ""; }),
            Lines{"0: ? code 0x8d dst 0 src 0 off 0 imm 0x5"});
}

}  // namespace
}  // namespace ksocket::bpf
