#include "core/socket/multicast.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "core/socket/options.h"
#include "support/fake_engine.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::Peer;

// The loopback interface only, and a group of its own for each listener, named by its port, which no other
// socket of the machine has: one without a membership hears what any other has joined (IP_MULTICAST_ALL). RFC
// 2365, local scope.
constexpr const char* kLoopback = "127.0.0.1";

std::string group_of(uint16_t port) {
  return "239.255." + std::to_string(port >> 8) + "." + std::to_string(port & 0xff);
}

struct Listener {
  Listener() {
    EXPECT_EQ(open_datagram(4, &fd), 0);
    EXPECT_EQ(bind_socket(fd.get(), test::address_of("0.0.0.0", 0)), 0);
    port = test::name_of(fd.get()).port;
    group = group_of(port);
  }
  bool hears(Peer& sender) {
    EXPECT_TRUE(sender.send(test::address_of(group.c_str(), port), "x"));
    char byte;
    // Loopback delivers before sendto() returns.
    return recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 1;
  }
  Fd fd;
  uint16_t port;
  std::string group;
};

TEST(Multicast, is_heard_by_members_only) {
  Peer sender;
  ASSERT_EQ(set_multicast_interface(sender.fd(), kLoopback), 0);
  Listener listener;
  EXPECT_FALSE(listener.hears(sender));
  ASSERT_EQ(set_membership(listener.fd.get(), true, listener.group, kLoopback, ""), 0);
  EXPECT_TRUE(listener.hears(sender));
  ASSERT_EQ(set_membership(listener.fd.get(), false, listener.group, kLoopback, ""), 0);
  EXPECT_FALSE(listener.hears(sender));
}

TEST(Multicast, can_be_of_one_source) {
  Peer sender;
  ASSERT_EQ(set_multicast_interface(sender.fd(), kLoopback), 0);
  Listener listener;
  ASSERT_EQ(set_membership(listener.fd.get(), true, listener.group, kLoopback, "127.0.0.9"), 0);
  EXPECT_FALSE(listener.hears(sender));
  std::string source = format_address(sender.address());
  ASSERT_EQ(set_membership(listener.fd.get(), true, listener.group, kLoopback, source), 0);
  EXPECT_TRUE(listener.hears(sender));
  EXPECT_EQ(set_membership(listener.fd.get(), false, listener.group, kLoopback, source), 0);
}

TEST(Multicast, knows_ipv6_groups_and_zones) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  Fd fd;
  ASSERT_EQ(open_datagram(6, &fd), 0);
  EXPECT_EQ(set_multicast_interface(fd.get(), "::%lo"), 0);
  EXPECT_EQ(set_membership(fd.get(), true, "ff02::1234", "::%lo", ""), 0);
  EXPECT_EQ(set_membership(fd.get(), true, "ff02::1234", "::%lo", ""), -EADDRINUSE) << "joined twice";
  EXPECT_EQ(set_membership(fd.get(), false, "ff02::1234", "::%lo", ""), 0);
  EXPECT_EQ(set_membership(fd.get(), true, "ff02::1234", "::%lo", "fe80::1"), 0);
  EXPECT_EQ(set_membership(fd.get(), false, "ff02::1234", "::%lo", "fe80::1"), 0);
}

TEST(Multicast, says_what_is_wrong) {
  const std::string group = group_of(0);
  Fd fd;
  ASSERT_EQ(open_datagram(4, &fd), 0);
  EXPECT_EQ(set_membership(fd.get(), true, "group", "", ""), -EINVAL);
  EXPECT_EQ(set_membership(fd.get(), true, "", "", ""), -EINVAL);
  EXPECT_EQ(set_membership(fd.get(), true, group, "::1", ""), -EINVAL) << "an interface of another family";
  EXPECT_EQ(set_membership(fd.get(), true, group, kLoopback, "source"), -EINVAL);
  EXPECT_EQ(set_membership(fd.get(), true, kLoopback, kLoopback, ""), -EINVAL) << "not a group";
  EXPECT_EQ(set_membership(fd.get(), false, group, kLoopback, ""), -EADDRNOTAVAIL) << "never joined";
  EXPECT_EQ(set_multicast_interface(fd.get(), "eth0"), -EINVAL);
  EXPECT_EQ(set_multicast_interface(fd.get(), ""), -EINVAL);
  EXPECT_EQ(set_membership(-1, true, group, kLoopback, ""), -EBADF);
}

}  // namespace
}  // namespace ksocket
