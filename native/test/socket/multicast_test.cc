#include "core/socket/multicast.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "core/socket/options.h"
#include "support/fake_engine.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::Peer;

// The loopback interface only, and a documentation group (RFC 6676) that no other run of these tests uses: a
// Linux socket without a membership hears what any other socket of the machine joined (IP_MULTICAST_ALL).
constexpr const char* kLoopback = "127.0.0.1";
const std::string kGroup = "233.252.0." + std::to_string(1 + getpid() % 254);

struct Listener {
  Listener() {
    EXPECT_EQ(open_udp(4, &fd), 0);
    EXPECT_EQ(bind_socket(fd.get(), test::address_of("0.0.0.0", 0)), 0);
    port = test::name_of(fd.get()).port;
  }
  bool hears(Peer& sender) {
    EXPECT_TRUE(sender.send(test::address_of(kGroup.c_str(), port), "x"));
    char byte;
    // Loopback delivers before sendto() returns.
    return recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 1;
  }
  Fd fd;
  uint16_t port;
};

TEST(Multicast, is_heard_by_members_only) {
  Peer sender;
  ASSERT_EQ(set_multicast_interface(sender.fd(), kLoopback), 0);
  Listener listener;
  EXPECT_FALSE(listener.hears(sender));
  ASSERT_EQ(set_membership(listener.fd.get(), true, kGroup, kLoopback, ""), 0);
  EXPECT_TRUE(listener.hears(sender));
  ASSERT_EQ(set_membership(listener.fd.get(), false, kGroup, kLoopback, ""), 0);
  EXPECT_FALSE(listener.hears(sender));
}

TEST(Multicast, can_be_of_one_source) {
  Peer sender;
  ASSERT_EQ(set_multicast_interface(sender.fd(), kLoopback), 0);
  Listener listener;
  ASSERT_EQ(set_membership(listener.fd.get(), true, kGroup, kLoopback, "127.0.0.9"), 0);
  EXPECT_FALSE(listener.hears(sender));
  std::string source = format_address(sender.address());
  ASSERT_EQ(set_membership(listener.fd.get(), true, kGroup, kLoopback, source), 0);
  EXPECT_TRUE(listener.hears(sender));
  EXPECT_EQ(set_membership(listener.fd.get(), false, kGroup, kLoopback, source), 0);
}

TEST(Multicast, knows_ipv6_groups_and_zones) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  Fd fd;
  ASSERT_EQ(open_udp(6, &fd), 0);
  EXPECT_EQ(set_multicast_interface(fd.get(), "::%lo"), 0);
  EXPECT_EQ(set_membership(fd.get(), true, "ff02::1234", "::%lo", ""), 0);
  EXPECT_EQ(set_membership(fd.get(), true, "ff02::1234", "::%lo", ""), -EADDRINUSE) << "joined twice";
  EXPECT_EQ(set_membership(fd.get(), false, "ff02::1234", "::%lo", ""), 0);
  EXPECT_EQ(set_membership(fd.get(), true, "ff02::1234", "::%lo", "fe80::1"), 0);
  EXPECT_EQ(set_membership(fd.get(), false, "ff02::1234", "::%lo", "fe80::1"), 0);
}

TEST(Multicast, says_what_is_wrong) {
  Fd fd;
  ASSERT_EQ(open_udp(4, &fd), 0);
  EXPECT_EQ(set_membership(fd.get(), true, "group", "", ""), -EINVAL);
  EXPECT_EQ(set_membership(fd.get(), true, "", "", ""), -EINVAL);
  EXPECT_EQ(set_membership(fd.get(), true, kGroup, "::1", ""), -EINVAL) << "an interface of another family";
  EXPECT_EQ(set_membership(fd.get(), true, kGroup, kLoopback, "source"), -EINVAL);
  EXPECT_EQ(set_membership(fd.get(), true, kLoopback, kLoopback, ""), -EINVAL) << "not a group";
  EXPECT_EQ(set_membership(fd.get(), false, kGroup, kLoopback, ""), -EADDRNOTAVAIL) << "never joined";
  EXPECT_EQ(set_multicast_interface(fd.get(), "eth0"), -EINVAL);
  EXPECT_EQ(set_multicast_interface(fd.get(), ""), -EINVAL);
  EXPECT_EQ(set_membership(-1, true, kGroup, kLoopback, ""), -EBADF);
}

}  // namespace
}  // namespace ksocket
