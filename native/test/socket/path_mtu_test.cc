#include "core/socket/path_mtu.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "core/socket/options.h"
#include "core/socket/socket.h"
#include "support/addresses.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::address_of;

TEST(PathMtu, is_loopbacks) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  ASSERT_EQ(bind_socket(fd.get(), address_of("127.0.0.1", 9)), 0);
  EXPECT_EQ(path_mtu(fd.get(), 4, address_of("127.0.0.1", 9)), 65535);
  if (!test::has_ipv6()) return;
  Fd v6;
  ASSERT_EQ(open_datagram(6, &v6), 0);
  EXPECT_EQ(path_mtu(v6.get(), 6, address_of("::1", 9)), 65536);
  EXPECT_EQ(path_mtu(v6.get(), 6, address_of("::ffff:127.0.0.1", 9)), 65535);
}

TEST(PathMtu, leaves_the_socket_as_it_is_and_no_descriptor) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  Fd next(dup(fd.get()));
  int lowest = next.get();
  next.reset();
  ASSERT_EQ(path_mtu(fd.get(), 4, address_of("127.0.0.1", 9)), 65535);
  next = Fd(dup(fd.get()));
  EXPECT_EQ(next.get(), lowest);
  Address peer;
  EXPECT_EQ(socket_name(fd.get(), true, &peer), -ENOTCONN);
}

TEST(PathMtu, says_why_there_is_no_way) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  ASSERT_EQ(set_option(fd.get(), 4, SocketOption::freebind, 1), 0);
  ASSERT_EQ(bind_socket(fd.get(), address_of("192.0.2.77", 9)), 0);
  EXPECT_LT(path_mtu(fd.get(), 4, address_of("127.0.0.1", 9)), 0) << "from an address that is nobody's";
  EXPECT_EQ(path_mtu(-1, 4, address_of("127.0.0.1", 9)), -EBADF);
}

TEST(PathMtu, is_of_no_IPv4_address_where_the_socket_sends_to_none) {
  if (!test::has_ipv6()) GTEST_FAIL() << "there is no IPv6";
  Fd fd;
  ASSERT_EQ(open_datagram(6, &fd), 0);
  ASSERT_EQ(set_option(fd.get(), 6, SocketOption::ipv6_only, 1), 0);
  EXPECT_EQ(path_mtu(fd.get(), 6, address_of("::1", 9)), 65536);
  EXPECT_EQ(path_mtu(fd.get(), 6, address_of("::ffff:127.0.0.1", 9)), -ENETUNREACH);
}

TEST(PathMtu, is_had_of_broadcast_and_multicast_addresses) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  EXPECT_EQ(path_mtu(fd.get(), 4, address_of("127.255.255.255", 9)), 65535);
  ASSERT_EQ(bind_socket(fd.get(), address_of("127.0.0.1", 9)), 0);
  EXPECT_GT(path_mtu(fd.get(), 4, address_of("224.0.0.114", 9)), 0);
}

TEST(PathMtu, is_refused_of_everybodys_address_where_one_is_meant) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  EXPECT_EQ(path_mtu(fd.get(), 4, address_of("127.255.255.255", 9), false), -EACCES);
  EXPECT_EQ(path_mtu(fd.get(), 4, address_of("127.0.0.1", 9), false), 65535);
}

}  // namespace
}  // namespace ksocket
