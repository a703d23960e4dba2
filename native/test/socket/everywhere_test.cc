#include "core/socket/everywhere.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "support/loopback.h"

namespace ksocket {
namespace {

// An interface that gets an address is told of by that alone: it was up before.
TEST(LinkEvents, are_of_interfaces_and_of_addresses_of_both_families) {
  Fd events;
  ASSERT_EQ(open_link_events(&events), 0);
  sockaddr_nl name{};
  socklen_t length = sizeof name;
  ASSERT_EQ(getsockname(events.get(), reinterpret_cast<sockaddr*>(&name), &length), 0);
  EXPECT_EQ(name.nl_groups, uint32_t{RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR});
}

TEST(Everywhere, has_several_memberships_of_several_sockets) {
  Everywhere everywhere;
  Fd one = test::bound_socket(), other = test::bound_socket();
  const Everywhere::Group first{"239.1.2.3", ""}, second{"239.1.2.4", ""};
  EXPECT_EQ(everywhere.join(1, one.get(), first), 0);
  EXPECT_EQ(everywhere.join(2, other.get(), first), 0);
  EXPECT_EQ(everywhere.join(1, one.get(), second), 0);
  EXPECT_EQ(everywhere.join(1, one.get(), second), -EADDRINUSE);
  EXPECT_EQ(everywhere.leave(1, second), 0);
  EXPECT_EQ(everywhere.leave(1, second), -EADDRNOTAVAIL);
  EXPECT_EQ(everywhere.leave(2, second), -EADDRNOTAVAIL);
  everywhere.forget(1);
  EXPECT_EQ(everywhere.leave(1, first), -EADDRNOTAVAIL);
  EXPECT_EQ(everywhere.leave(2, first), 0);
}

}  // namespace
}  // namespace ksocket
