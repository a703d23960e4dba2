#include "core/xdp/joined_frames.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <fstream>
#include <iterator>
#include <vector>

#include "support/own_network.h"
#include "support/random.h"
#include "support/xdp_kernel.h"

namespace ksocket::xdp {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint16_t kPort = 2325;
constexpr uint8_t kLoopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
constexpr int kSegment = 103;  // UDP_SEGMENT

void send_to_server(int fd, const std::string& data, int segment) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(kPort);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(setsockopt(fd, SOL_UDP, kSegment, &segment, sizeof segment), 0);
  ASSERT_EQ(sendto(fd, data.data(), data.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
            static_cast<ssize_t>(data.size()));
}

TEST(JoinedFrames, that_a_program_sends_over_lo_are_left_to_the_thread) {
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why;
  std::optional<JoinedFrames> joined = joined_frames();
  if (!joined) GTEST_SKIP() << "a kernel that does not describe its types";
  std::string why = test::in_own_network([&] {
    CompiledRules compiled = compile({{}, rules::Action::echo, 0}, {}, {.port = kPort});
    test::XdpKernel kernel(compiled);
    ASSERT_EQ(kernel.error(), "");
    kernel.enter_by(
        {.hardware = {}, .from_machines = false, .joined = joined, .ways = {{0, {.port = kPort}}}});
    kernel.set_address(kLoopback, kAddressLocal | kAddressServed);
    Fd link = kernel.attach(if_nametoindex("lo"), false);
    ASSERT_TRUE(link) << kernel.error();
    Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    send_to_server(fd.get(), "aaaabbbbcccc", 4);
    EXPECT_EQ(kernel.counters().passed, 1u);
    EXPECT_EQ(kernel.counters().answered, 0u);
    send_to_server(fd.get(), "dddd", 0);
    EXPECT_EQ(kernel.counters().answered, 1u);
  });
  if (!why.empty()) GTEST_SKIP() << why;
}

// A word for each type of this: struct xdp_buff { void* data; union { struct { u32 frame_sz; }; }; void*
// data_hard_start; }; struct skb_shared_info { u8 flags; u16 gso_size; } of 300 bytes.
Bytes small_btf() {
  std::string strings("\0xdp_buff\0frame_sz\0data_hard_start\0skb_shared_info\0gso_size\0", 61);
  constexpr uint32_t kBuff = 1, kFrame = 10, kStart = 19, kShared = 35, kJoined = 51;
  constexpr uint32_t kStruct = 4u << 24, kUnion = 5u << 24;
  std::vector<uint32_t> types{0,       kStruct | 1, 4,   kFrame,  0, 0,  // 1: struct { frame_sz }
                              0,       kUnion | 1,  4,   0,       1, 0,  // 2: union { 1 }
                              kBuff,   kStruct | 2, 24,  0,       2, 64, kStart, 0, 128,  // 3
                              kShared, kStruct | 1, 300, kJoined, 0, 16};                 // 4
  std::vector<uint32_t> header{0x0001eb9f,
                               24,
                               0,
                               static_cast<uint32_t>(types.size() * 4),
                               static_cast<uint32_t>(types.size() * 4),
                               static_cast<uint32_t>(strings.size())};
  header.insert(header.end(), types.begin(), types.end());
  Bytes out;
  for (uint32_t word : header) {
    for (int bits = 0; bits < 32; bits += 8) out.push_back(static_cast<uint8_t>(word >> bits));
  }
  out.insert(out.end(), strings.begin(), strings.end());
  return out;
}

TEST(JoinedFrames, are_found_by_the_types_of_the_kernel) {
  auto found = joined_frames_of(small_btf());
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->frame_bytes, 8u);
  EXPECT_EQ(found->hard_start, 16u);
  EXPECT_EQ(found->from_end, 320u - 2);
}

// The sanitizer builds see what reads beyond.
TEST(JoinedFrames, of_broken_types_are_none_or_somewhere_near) {
  test::Random random(21);
  for (int i = 0; i < 20'000; i++) {
    Bytes btf = small_btf();
    if (random.one_in(3)) btf.resize(random.below(static_cast<uint32_t>(btf.size())));
    for (uint32_t n = random.below(4); n > 0 && !btf.empty(); n--) {
      btf[random.below(static_cast<uint32_t>(btf.size()))] = static_cast<uint8_t>(random());
    }
    auto found = joined_frames_of(Bytes(btf.begin(), btf.end()));
    if (!found) continue;
    EXPECT_LE(found->hard_start, 64u);
    EXPECT_LE(found->frame_bytes, 64u);
    EXPECT_LE(found->from_end, 4096u);
  }
}

}  // namespace
}  // namespace ksocket::xdp
