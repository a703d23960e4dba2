#include "core/socket/options.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "core/socket/socket.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

Fd open_family(uint8_t family) {
  Fd fd;
  EXPECT_EQ(open_udp(family, &fd), 0);
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
      if (family == 4 && option == SocketOption::ipv6_only) {
        EXPECT_EQ(error, -ENOPROTOOPT);
      } else if (option != SocketOption::gro) {  // kernels before 5.0 do without
        EXPECT_EQ(error, 0) << "option " << i << ", family " << int{family};
      }
    }
  }
}

TEST(Options, keep_what_they_are_set_to) {
  for (uint8_t family : families()) {
    Fd fd = open_family(family);
    const struct {
      SocketOption option;
      int value;
    } rows[] = {{SocketOption::reuse_address, 1},       {SocketOption::reuse_port, 1},
                {SocketOption::broadcast, 1},           {SocketOption::ttl, 17},
                {SocketOption::multicast_ttl, 3},       {SocketOption::multicast_loopback, 0},
                {SocketOption::report_kernel_drops, 1}, {SocketOption::receive_ttl, 1}};
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
