// Needs the rights to load programs; says so where they are missing.
#include "core/xdp/bpf_call.h"

#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <vector>

#include "support/own_network.h"

namespace ksocket::xdp {
namespace {

constexpr bpf_insn kExit{BPF_JMP | BPF_EXIT, 0, 0, 0, 0};

bpf_insn verdict(int32_t value) {
  return {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value};
}

Fd program_of(int32_t value) {
  Fd out;
  std::string log;
  EXPECT_EQ(load_program(std::vector<bpf_insn>{verdict(value), kExit}, "test", &out, &log), 0) << log;
  return out;
}

#define NEEDS_BPF()                                                                                 \
  Fd needed;                                                                                        \
  if (int error = create_map({BPF_MAP_TYPE_LPM_TRIE, 8, 4, 1, BPF_F_NO_PREALLOC}, "test", &needed)) \
  GTEST_SKIP() << "this process may not use bpf(2): " << -error

TEST(BpfCall, maps_keep_what_they_are_given) {
  NEEDS_BPF();
  Fd map;
  ASSERT_EQ(create_map({BPF_MAP_TYPE_HASH, 4, 8, 10}, "longer_than_a_name_may_be", &map), 0);
  uint32_t key = 7, next = 0;
  uint64_t value = 0;
  EXPECT_EQ(get_element(map.get(), &key, &value), -ENOENT);
  value = 99;
  EXPECT_EQ(set_element(map.get(), &key, &value), 0);
  value = 0;
  EXPECT_EQ(get_element(map.get(), &key, &value), 0);
  EXPECT_EQ(value, 99u);
  EXPECT_EQ(set_element(map.get(), &key, &value, BPF_NOEXIST), -EEXIST);
  EXPECT_EQ(next_key(map.get(), nullptr, &next), 0);
  EXPECT_EQ(next, 7u);
  EXPECT_EQ(next_key(map.get(), &next, &next), -ENOENT);
  EXPECT_EQ(delete_element(map.get(), &key), 0);
  EXPECT_EQ(delete_element(map.get(), &key), -ENOENT);
}

TEST(BpfCall, many_elements_go_into_a_map_at_once) {
  NEEDS_BPF();
  Fd map;
  ASSERT_EQ(create_map({BPF_MAP_TYPE_HASH, 4, 8, 3}, "test", &map), 0);
  uint32_t keys[] = {1, 2, 3, 4};
  uint64_t values[] = {10, 20, 30, 40};
  uint32_t count = 4;
  EXPECT_EQ(set_elements(map.get(), keys, values, &count), -E2BIG) << "more than it may have";
  EXPECT_EQ(count, 3u);
  uint64_t value = 0;
  EXPECT_EQ(get_element(map.get(), &keys[2], &value), 0);
  EXPECT_EQ(value, 30u);
  count = 2;
  EXPECT_EQ(delete_elements(map.get(), keys, &count), 0);
  EXPECT_EQ(get_element(map.get(), &keys[0], &value), -ENOENT);
}

TEST(BpfCall, what_the_verifier_says_comes_back) {
  NEEDS_BPF();
  Fd program;
  std::string log;
  EXPECT_LT(load_program(std::vector<bpf_insn>{kExit}, "test", &program, &log), 0);
  EXPECT_NE(log.find("R0 !read_ok"), std::string::npos) << log;
  EXPECT_FALSE(program);
  log.clear();
  EXPECT_EQ(load_program(std::vector<bpf_insn>{verdict(1), kExit}, "test", &program, &log), 0);
  EXPECT_EQ(log, "");
}

TEST(BpfCall, a_program_runs_on_a_frame) {
  NEEDS_BPF();
  std::vector<uint8_t> frame(64, 0xab), out(128);
  TestRun run{frame, out, 10};
  ASSERT_EQ(test_run(program_of(XDP_TX).get(), &run), 0);
  EXPECT_EQ(run.verdict, static_cast<uint32_t>(XDP_TX));
  EXPECT_EQ(std::vector<uint8_t>(run.out.begin(), run.out.end()), frame);
}

TEST(BpfCall, a_link_holds_an_interface_until_it_is_closed_and_swaps_its_program) {
  NEEDS_BPF();
  std::string without = test::in_own_network([] {
    uint32_t lo = if_nametoindex("lo");
    Fd first = program_of(XDP_PASS), second = program_of(XDP_PASS), link, other;
    ASSERT_EQ(attach_to_interface(first.get(), lo, XDP_FLAGS_SKB_MODE, &link), 0);
    EXPECT_EQ(attach_to_interface(second.get(), lo, XDP_FLAGS_SKB_MODE, &other), -EBUSY);
    EXPECT_EQ(replace_program(link.get(), second.get(), second.get()), -EPERM) << "it has another one";
    EXPECT_EQ(replace_program(link.get(), second.get(), first.get()), 0);
    link.reset();
    EXPECT_EQ(attach_to_interface(second.get(), lo, XDP_FLAGS_SKB_MODE, &other), 0);
    EXPECT_EQ(attach_to_interface(second.get(), 12345, XDP_FLAGS_SKB_MODE, &link), -EINVAL);
  });
  if (!without.empty()) GTEST_SKIP() << without;
}

TEST(BpfCall, the_cpus_are_counted) {
  EXPECT_GE(possible_cpus(), static_cast<int>(sysconf(_SC_NPROCESSORS_CONF)));
}

}  // namespace
}  // namespace ksocket::xdp
