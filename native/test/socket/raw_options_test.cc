#include "core/socket/raw_options.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/socket/options.h"
#include "core/socket/socket.h"

namespace ksocket {
namespace {

std::span<uint8_t> bytes_of(int& value) {
  return {reinterpret_cast<uint8_t*>(&value), sizeof value};
}

TEST(RawOptions, are_set_and_read) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  int ttl = 17;
  ASSERT_EQ(set_raw_option(fd.get(), IPPROTO_IP, IP_TTL, bytes_of(ttl)), 0);
  int value = 0;
  ASSERT_EQ(get_option(fd.get(), 4, SocketOption::ttl, &value), 0);
  EXPECT_EQ(value, 17);
  std::array<uint8_t, 64> out{};
  ASSERT_EQ(get_raw_option(fd.get(), IPPROTO_IP, IP_TTL, out), 4);
  std::memcpy(&value, out.data(), 4);
  EXPECT_EQ(value, 17);
}

TEST(RawOptions, are_refused_also_where_nobody_has_asked_before) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  std::array<uint8_t, 64> bytes{};
  EXPECT_EQ(set_raw_option(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, bytes), -EPERM);
  EXPECT_EQ(get_raw_option(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, bytes), -EPERM);
  EXPECT_EQ(set_raw_option(fd.get(), IPPROTO_IP, 64, bytes), -EPERM);
  EXPECT_EQ(get_raw_option(fd.get(), IPPROTO_IP, 64, bytes), -EPERM);
  EXPECT_EQ(set_raw_option(fd.get(), IPPROTO_IPV6, 200, bytes), -EPERM);
}

TEST(RawOptions, say_what_is_wrong) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  std::array<uint8_t, 64> bytes{};
  EXPECT_EQ(set_raw_option(fd.get(), IPPROTO_TCP, 1, bytes), -ENOPROTOOPT);
  EXPECT_EQ(get_raw_option(fd.get(), IPPROTO_TCP, 1, bytes), -ENOPROTOOPT);
  EXPECT_EQ(set_raw_option(-1, IPPROTO_IP, IP_TTL, bytes), -EBADF);
  EXPECT_EQ(get_raw_option(-1, IPPROTO_IP, IP_TTL, bytes), -EBADF);
  EXPECT_EQ(set_raw_option(fd.get(), IPPROTO_IP, IP_TTL, {}), -EINVAL);
}

TEST(RawOptions, never_say_that_there_is_more_than_fits) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  std::array<uint8_t, 256> out{};
  for (int level : {int{SOL_SOCKET}, int{IPPROTO_IP}, int{IPPROTO_UDP}, int{IPPROTO_IPV6}}) {
    for (int name = 0; name < 300; name++) {
      for (size_t length : {0u, 1u, 4u, 5u, 8u, 16u}) {
        out.fill(0xaa);
        std::fill_n(out.begin(), length, uint8_t{0});
        int got = get_raw_option(fd.get(), level, name, {out.data(), length});
        EXPECT_LE(got, static_cast<int>(length)) << level << ' ' << name;
        for (size_t i = length; i < out.size(); i++) {
          ASSERT_EQ(out[i], 0xaa) << "behind the value, level " << level << ", name " << name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ksocket
