#include "core/bpf/assembler.h"

#include <gtest/gtest.h>

#include "support/bpf_interpreter.h"
#include "support/fake_engine.h"

namespace ksocket::bpf {
namespace {

using test::check_program;
using test::run_program;

constexpr uint16_t kLoadWord = BPF_LD | BPF_W | BPF_ABS;
constexpr uint32_t kIpv4Source = static_cast<uint32_t>(SKF_NET_OFF) + 12;
constexpr uint32_t kFirst = 0x0a000000;  // 10.0.0.0

bool passes(const std::vector<sock_filter>& program, uint32_t last_byte) {
  std::string source = "10.0." + std::to_string(last_byte / 256) + "." + std::to_string(last_byte % 256);
  return run_program(program, test::network_header(test::address_of(source.c_str(), 0))) != 0;
}

TEST(Assembler, writes_what_is_executed_in_order) {
  Assembler out;
  Label drop = out.verdict(false);
  Label pass = out.verdict(true);
  Label compare = out.branch(BPF_JEQ, kFirst + 5, drop, pass);
  out.statement(kLoadWord, kIpv4Source, compare);
  auto program = std::move(out).finish();
  EXPECT_EQ(program.size(), 4u);
  ASSERT_EQ(check_program(program), "");
  EXPECT_TRUE(passes(program, 4));
  EXPECT_FALSE(passes(program, 5));
}

// A conditional jump reaches 255 instructions; whoever writes the program does not have to know.
TEST(Assembler, reaches_a_label_of_any_distance) {
  constexpr uint32_t kDropped = 1000;
  Assembler out;
  Label drop = out.verdict(false);
  Label next = out.verdict(true);
  for (uint32_t i = 0; i < kDropped; i++) next = out.branch(BPF_JEQ, kFirst + i, drop, next);
  out.statement(kLoadWord, kIpv4Source, next);
  auto program = std::move(out).finish();
  ASSERT_EQ(check_program(program), "");
  for (uint32_t i = 0; i < kDropped; i += 111) EXPECT_FALSE(passes(program, i)) << i;
  EXPECT_TRUE(passes(program, kDropped));
}

TEST(Assembler, shares_a_verdict_with_all_who_are_near) {
  constexpr uint32_t kDropped = 1000;
  Assembler out;
  Label next = out.verdict(true);
  for (uint32_t i = 0; i < kDropped; i++) next = out.branch(BPF_JEQ, kFirst + i, out.verdict(false), next);
  out.statement(kLoadWord, kIpv4Source, next);
  EXPECT_LT(out.size(), kDropped + 2 * kDropped / 100) << "a verdict and a jump over it a hundred branches";
  auto program = std::move(out).finish();
  ASSERT_EQ(check_program(program), "");
  for (uint32_t i = 0; i < kDropped; i += 111) EXPECT_FALSE(passes(program, i)) << i;
  EXPECT_TRUE(passes(program, kDropped));
}

}  // namespace
}  // namespace ksocket::bpf
