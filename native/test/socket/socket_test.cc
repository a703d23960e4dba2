#include "core/socket/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "support/fake_engine.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::address_of;
using test::Peer;

TEST(Socket, is_opened_non_blocking_and_closed_on_exec) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  EXPECT_TRUE(fcntl(fd.get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
}

TEST(Socket, binds_to_a_port_of_the_kernels_choice_and_says_which) {
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  ASSERT_EQ(bind_socket(fd.get(), address_of("127.0.0.1", 0)), 0);
  Address name;
  ASSERT_EQ(socket_name(fd.get(), false, &name), 0);
  EXPECT_EQ(name.family, 4);
  EXPECT_NE(name.port, 0);
  EXPECT_EQ(format_address(name), "127.0.0.1");
}

TEST(Socket, says_why_it_cannot_bind) {
  Peer taken;
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  EXPECT_EQ(bind_socket(fd.get(), taken.address()), -EADDRINUSE);
  EXPECT_EQ(bind_socket(fd.get(), address_of("192.0.2.1", 0)), -EADDRNOTAVAIL);
  EXPECT_EQ(bind_socket(-1, address_of("127.0.0.1", 0)), -EBADF);
  EXPECT_EQ(bind_socket(fd.get(), address_of("127.0.0.1", 0)), 0) << "and can still";
}

TEST(Socket, has_a_peer_while_it_is_connected) {
  Peer other;
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  Address name;
  EXPECT_EQ(socket_name(fd.get(), true, &name), -ENOTCONN);
  ASSERT_EQ(connect_socket(fd.get(), other.address()), 0);
  ASSERT_EQ(socket_name(fd.get(), true, &name), 0);
  EXPECT_TRUE(name == other.address());
  ASSERT_EQ(disconnect_socket(fd.get()), 0);
  EXPECT_EQ(socket_name(fd.get(), true, &name), -ENOTCONN);
  ASSERT_EQ(connect_socket(fd.get(), other.address()), 0);
}

TEST(Socket, does_ipv6_as_well) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  Peer one(6), other(6);
  EXPECT_EQ(format_address(one.address()), "::1");
  ASSERT_TRUE(one.send(other.address(), "x"));
  Address from;
  EXPECT_EQ(other.receive(&from), "x");
  EXPECT_TRUE(from == one.address());
}

}  // namespace
}  // namespace ksocket
