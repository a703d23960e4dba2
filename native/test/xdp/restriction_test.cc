// What narrows what comes to a socket, and what of that servers have done themselves.
#include "core/xdp/restriction.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "core/base/fd.h"

namespace ksocket::xdp {
namespace {

class Restriction : public testing::Test {
 protected:
  std::string of(OwnRestrictions own = {}) const { return restriction_of(socket_.get(), own); }
  template <typename Value>
  void set(int level, int name, const Value& value) const {
    ASSERT_EQ(setsockopt(socket_.get(), level, name, &value, sizeof value), 0);
  }
  void set_filter() const {
    sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
    set(SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog{1, &all});
  }

  const Fd socket_{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST_F(Restriction, a_plain_socket_gets_all) {
  EXPECT_EQ(of(), "");
}

TEST_F(Restriction, a_filter_is_the_servers_unless_it_is_locked) {
  set_filter();
  EXPECT_EQ(of(), "that has a filter");
  EXPECT_EQ(of({.port = true}), "that has a filter");
  EXPECT_EQ(of({.filter = true}), "");
  set(SOL_SOCKET, SO_LOCK_FILTER, 1);
  EXPECT_EQ(of({.filter = true}), "that has a filter");
}

TEST_F(Restriction, a_group_at_the_port_is_the_servers_where_it_has_shards) {
  set(SOL_SOCKET, SO_REUSEPORT, 1);
  EXPECT_EQ(of({.filter = true}), "whose port others may have, too");
  EXPECT_EQ(of({.port = true}), "");
}

TEST_F(Restriction, what_else_narrows_is_nobodys_own) {
  constexpr OwnRestrictions kOwn{.filter = true, .port = true};
  set(IPPROTO_IP, 21 /* IP_MINTTL */, 255);
  EXPECT_EQ(of(kOwn), "that takes no datagrams from afar");
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(9);
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(socket_.get(), reinterpret_cast<sockaddr*>(&peer), sizeof peer), 0);
  EXPECT_EQ(of(kOwn), "that is connected");
}

}  // namespace
}  // namespace ksocket::xdp
