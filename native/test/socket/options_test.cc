#include "core/socket/options.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "core/socket/socket.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

Fd open_family(uint8_t family) {
  Fd fd;
  EXPECT_EQ(open_datagram(family, &fd), 0);
  return fd;
}

std::vector<uint8_t> families() {
  return test::has_ipv6() ? std::vector<uint8_t>{4, 6} : std::vector<uint8_t>{4};
}

// Every row of the table names something the kernel knows, for the families it is there for.
TEST(Options, are_known_to_the_kernel) {
  for (uint8_t family : families()) {
    Fd fd = open_family(family);
    for (uint32_t i = 0; i < static_cast<uint32_t>(SocketOption::kCount); i++) {
      auto option = static_cast<SocketOption>(i);
      int value = -1;
      int error = get_option(fd.get(), family, option, &value);
      if ((family == 4 && option == SocketOption::ipv6_only) || option == SocketOption::receive_credentials) {
        EXPECT_EQ(error, -ENOPROTOOPT);
      } else if (option != SocketOption::gro) {  // kernels before 5.0 do without
        EXPECT_EQ(error, 0) << "option " << i << ", family " << int{family};
      }
    }
  }
}

TEST(Options, of_local_sockets_have_a_place_of_their_own) {
  Fd fd = open_family(kLocal);
  for (int wanted : {1, 0}) {
    int value = -1;
    EXPECT_EQ(set_option(fd.get(), kLocal, SocketOption::receive_credentials, wanted), 0);
    EXPECT_EQ(get_option(fd.get(), kLocal, SocketOption::receive_credentials, &value), 0);
    EXPECT_EQ(value, wanted);
  }
  EXPECT_EQ(set_option(fd.get(), kLocal, SocketOption::receive_times, 1), 0);
  EXPECT_NE(set_option(fd.get(), kLocal, SocketOption::ttl, 1), 0);
}

TEST(Options, keep_what_they_are_set_to) {
  for (uint8_t family : families()) {
    Fd fd = open_family(family);
    const struct {
      SocketOption option;
      int value;
    } rows[] = {{SocketOption::reuse_address, 1},
                {SocketOption::reuse_port, 1},
                {SocketOption::broadcast, 1},
                {SocketOption::ttl, 17},
                {SocketOption::multicast_ttl, 3},
                {SocketOption::multicast_loopback, 0},
                {SocketOption::report_kernel_drops, 1},
                {SocketOption::receive_ttl, 1},
                {SocketOption::mtu_discover, IP_PMTUDISC_DO},
                {SocketOption::freebind, 1},
                {SocketOption::max_pacing_rate, 1000}};
    for (const auto& row : rows) {
      ASSERT_EQ(set_option(fd.get(), family, row.option, row.value), 0);
      int value = -1;
      ASSERT_EQ(get_option(fd.get(), family, row.option, &value), 0);
      EXPECT_EQ(value, row.value) << static_cast<int>(row.option) << ", family " << int{family};
    }
  }
}

TEST(Options, change_buffer_sizes) {
  Fd fd = open_family(4);
  for (auto option : {SocketOption::receive_buffer_bytes, SocketOption::send_buffer_bytes}) {
    ASSERT_EQ(set_option(fd.get(), 4, option, 20'000), 0);
    int value = 0;
    ASSERT_EQ(get_option(fd.get(), 4, option, &value), 0);
    EXPECT_EQ(value, 40'000) << "socket(7): the kernel doubles it";
  }
}

TEST(Options, take_values_that_are_no_int) {
  for (uint8_t family : families()) {
    Fd fd = open_family(family);
    const uint64_t rate = 10'000'000'000;
    auto bytes = std::span(reinterpret_cast<const uint8_t*>(&rate), sizeof rate);
    ASSERT_EQ(set_option(fd.get(), family, SocketOption::max_pacing_rate, bytes), 0);
    uint64_t value = 0;
    socklen_t length = sizeof value;
    ASSERT_EQ(getsockopt(fd.get(), SOL_SOCKET, SO_MAX_PACING_RATE, &value, &length), 0);
    EXPECT_EQ(value, rate);
  }
}

TEST(Options, are_set_for_both_families_where_the_kernel_keeps_them_apart) {
  if (!test::has_ipv6()) GTEST_FAIL() << "there is no IPv6";
  Fd fd = open_family(6);
  ASSERT_EQ(set_option(fd.get(), 6, SocketOption::mtu_discover, IP_PMTUDISC_PROBE), 0);
  for (auto [level, name] :
       {std::pair{int{IPPROTO_IP}, IP_MTU_DISCOVER}, {int{IPPROTO_IPV6}, IPV6_MTU_DISCOVER}}) {
    int value = -1;
    socklen_t length = sizeof value;
    ASSERT_EQ(getsockopt(fd.get(), level, name, &value, &length), 0);
    EXPECT_EQ(value, IP_PMTUDISC_PROBE);
  }
  ASSERT_EQ(set_option(fd.get(), 6, SocketOption::freebind, 1), 0);
  int value = 0;
  socklen_t length = sizeof value;
  ASSERT_EQ(getsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &value, &length), 0);
  EXPECT_EQ(value, 1) << "kept once, so that one of the two is enough";
}

TEST(Options, can_be_tried_on_a_socket_of_nobody) {
  const int one = 1;
  auto bytes = std::span(reinterpret_cast<const uint8_t*>(&one), sizeof one);
  EXPECT_EQ(probe_option(SocketOption::broadcast, bytes), 0);
  EXPECT_EQ(probe_option(SocketOption::ipv6_only, bytes), -ENOPROTOOPT) << "of udp4";
  EXPECT_EQ(probe_option(SocketOption::broadcast, {}), -EINVAL);
}

TEST(Options, say_what_is_wrong) {
  Fd fd = open_family(4);
  int value;
  EXPECT_EQ(set_option(fd.get(), 4, SocketOption::ttl, 256), -EINVAL);
  EXPECT_EQ(set_option(fd.get(), 4, SocketOption::ipv6_only, 1), -ENOPROTOOPT);
  EXPECT_EQ(set_option(fd.get(), 4, SocketOption::kCount, 1), -EINVAL);
  EXPECT_EQ(get_option(fd.get(), 4, SocketOption::kCount, &value), -EINVAL);
  EXPECT_EQ(set_option(-1, 4, SocketOption::ttl, 1), -EBADF);
  EXPECT_EQ(get_option(-1, 4, SocketOption::ttl, &value), -EBADF);
}

}  // namespace
}  // namespace ksocket
