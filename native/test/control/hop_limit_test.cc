// The hop limit that datagrams arrive with, from the kernel's control message to the record in the ring.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "core/control/control.h"
#include "core/socket/options.h"
#include "support/engines.h"
#include "support/fake_engine.h"
#include "support/io_rig.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::address_of;
using test::IoRig;
using test::Peer;

// A socket of an I/O thread on a real engine, and plain ones that send to it.
class HopLimit : public test::OnEachEngine {
 protected:
  void SetUp() override { ASSERT_EQ(rig.thread.start(), 0); }

  // Watched. `any`: on every address, and so a dual-stack socket if it is one of IPv6.
  std::shared_ptr<Endpoint> listen(uint8_t family, bool any = false) {
    Fd fd;
    if (open_datagram(family, &fd) != 0) throw std::runtime_error("socket");
    std::string own = family == 6 ? "::1" : test::loopback_address();
    if (family == 6) set_option(fd.get(), 6, SocketOption::ipv6_only, any ? 0 : 1);
    EXPECT_EQ(bind_socket(fd.get(), address_of(any ? (family == 6 ? "::" : "0.0.0.0") : own.c_str(), 0)), 0);
    return rig.add(std::move(fd), family);
  }
  void watch(const std::shared_ptr<Endpoint>& endpoint) { EXPECT_EQ(rig.thread.watch(*endpoint), 0); }
  static void ask(const Endpoint& endpoint, int wanted = 1) {
    EXPECT_EQ(set_option(endpoint.fd.get(), endpoint.family, SocketOption::receive_ttl, wanted), 0);
  }

  // The next record's, once `data` has come.
  uint8_t arrives(const std::string& data) {
    size_t before = rig.records.size();
    EXPECT_TRUE(rig.read_records(before + 1)) << data;
    if (rig.records.size() <= before) return 255;
    EXPECT_EQ(rig.records[before].data, data);
    return rig.records[before].descriptor.ttl;
  }
  static void set_ttl(const Peer& peer, uint8_t family, int ttl) {
    ASSERT_EQ(set_option(peer.fd(), family, SocketOption::ttl, ttl), 0);
  }

  IoRig rig{make_engine(), {}};
};

INSTANTIATE_TEST_SUITE_P(, HopLimit, test::both_engines(), test::engine_name);

TEST_P(HopLimit, is_that_of_each_datagram_where_the_socket_asks_for_it) {
  for (uint8_t family : test::has_ipv6() ? std::vector<uint8_t>{4, 6} : std::vector<uint8_t>{4}) {
    auto socket = listen(family);
    ask(*socket);
    watch(socket);
    Peer peer(family);
    Address to = test::name_of(socket->fd.get());
    ASSERT_TRUE(peer.send(to, "by default"));
    EXPECT_EQ(arrives("by default"), 64) << int{family};
    for (int ttl : {1, 17, 255}) {
      set_ttl(peer, family, ttl);
      ASSERT_TRUE(peer.send(to, std::to_string(ttl)));
      EXPECT_EQ(arrives(std::to_string(ttl)), ttl) << int{family};
    }
  }
}

// The ring's memory is full of junk: what is not written shows.
TEST_P(HopLimit, is_zero_where_the_socket_does_not_ask) {
  for (uint8_t family : test::has_ipv6() ? std::vector<uint8_t>{4, 6} : std::vector<uint8_t>{4}) {
    auto socket = listen(family);
    watch(socket);
    Peer peer(family);
    Address to = test::name_of(socket->fd.get());
    ASSERT_TRUE(peer.send(to, "unasked"));
    EXPECT_EQ(arrives("unasked"), 0);
    ask(*socket);
    ASSERT_TRUE(peer.send(to, "asked"));
    EXPECT_EQ(arrives("asked"), 64);
    ask(*socket, 0);
    ASSERT_TRUE(peer.send(to, "no more"));
    EXPECT_EQ(arrives("no more"), 0);
  }
}

TEST_P(HopLimit, is_told_of_both_families_on_a_dual_stack_socket) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  auto socket = listen(6, true);
  ask(*socket);
  watch(socket);
  uint16_t port = test::name_of(socket->fd.get()).port;
  Peer v4, v6(6);
  set_ttl(v4, 4, 44);
  set_ttl(v6, 6, 66);
  ASSERT_TRUE(v4.send(address_of(test::loopback_address().c_str(), port), "mapped"));
  EXPECT_EQ(arrives("mapped"), 44);
  EXPECT_EQ(rig.records.back().descriptor.family, 6);
  ASSERT_TRUE(v6.send(address_of("::1", port), "native"));
  EXPECT_EQ(arrives("native"), 66);
}

TEST_P(HopLimit, of_an_ipv6_socket_alone_asks_nothing_of_ipv4) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  auto socket = listen(6);
  ask(*socket);
  watch(socket);
  Peer peer(6);
  set_ttl(peer, 6, 9);
  ASSERT_TRUE(peer.send(test::name_of(socket->fd.get()), "x"));
  EXPECT_EQ(arrives("x"), 9);
}

// On loopback what was sent joined stays joined: one record, one hop limit, and the boundaries with it.
TEST_P(HopLimit, is_that_of_all_datagrams_of_a_super_datagram) {
  for (uint8_t family : test::has_ipv6() ? std::vector<uint8_t>{4, 6} : std::vector<uint8_t>{4}) {
    auto socket = listen(family);
    ask(*socket);
    if (set_option(socket->fd.get(), family, SocketOption::gro, 1) != 0) GTEST_SKIP() << "no UDP_GRO";
    watch(socket);
    Peer peer(family);
    set_ttl(peer, family, 33);
    int segment = 100;
    if (setsockopt(peer.fd(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) GTEST_SKIP() << "no GSO";
    std::string data(350, 'x');
    ASSERT_TRUE(peer.send(test::name_of(socket->fd.get()), data));
    EXPECT_EQ(arrives(data), 33);
    EXPECT_EQ(rig.records.back().descriptor.segment_size, 100);
  }
}

// Cut, each datagram is a record of its own.
TEST_P(HopLimit, is_in_every_record_of_a_super_datagram_that_is_cut) {
  auto socket = listen(4);
  socket->keep_bytes_max = 10;
  ask(*socket);
  if (set_option(socket->fd.get(), 4, SocketOption::gro, 1) != 0) GTEST_SKIP() << "no UDP_GRO";
  watch(socket);
  Peer peer;
  set_ttl(peer, 4, 33);
  int segment = 100;
  if (setsockopt(peer.fd(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) GTEST_SKIP() << "no GSO";
  ASSERT_TRUE(peer.send(test::name_of(socket->fd.get()), std::string(350, 'x')));
  ASSERT_TRUE(rig.read_records(4));
  for (const auto& record : rig.records) EXPECT_EQ(record.descriptor.ttl, 33);
}

// Large ones are received into the ring itself.
TEST_P(HopLimit, is_told_of_what_is_received_in_place) {
  auto socket = listen(4);
  ask(*socket);
  watch(socket);
  Peer peer;
  Address to = test::name_of(socket->fd.get());
  for (int ttl = 1; ttl <= 20; ttl++) {
    set_ttl(peer, 4, ttl);
    std::string data(60'000, static_cast<char>('a' + ttl));
    ASSERT_TRUE(peer.send(to, data));
    EXPECT_EQ(arrives(data), ttl);
  }
}

// An adopted descriptor may have been told to say all sorts of things.
TEST_P(HopLimit, costs_no_boundary_beside_messages_that_others_asked_for) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  auto socket = listen(6, true);
  ask(*socket);
  int fd = socket->fd.get(), on = 1,
      stamping = (1 << 3) | (1 << 4) | (1 << 13);  // RX_SOFTWARE, SOFTWARE, OPT_PKTINFO
  if (set_option(fd, 6, SocketOption::gro, 1) != 0) GTEST_SKIP() << "no UDP_GRO";
  set_option(fd, 6, SocketOption::receive_times, 1);
  set_option(fd, 6, SocketOption::report_kernel_drops, 1);
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamping, sizeof stamping);
  setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
  watch(socket);
  Peer peer(6);
  int segment = 100;
  if (setsockopt(peer.fd(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) GTEST_SKIP() << "no GSO";
  uint16_t port = test::name_of(fd).port;
  std::string data(350, 'x');
  ASSERT_TRUE(peer.send(address_of("::1", port), data));
  arrives(data);
  EXPECT_EQ(rig.records.back().descriptor.segment_size, 100);
}

}  // namespace
}  // namespace ksocket
