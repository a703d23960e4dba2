// The kernel's side of the filter: real sockets, real datagrams, all on the loopback interface.
#include <gtest/gtest.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <set>
#include <string>

#include "core/answer/protection/filter.h"
#include "core/base/kernel_names.h"
#include "core/socket/filter.h"
#include "support/address_lists.h"
#include "support/fake_engine.h"
#include "support/loopback.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::address_of;
using test::eventually;
using test::fuzz_inputs;
using test::List;
using test::lists;
using test::RandomAddresses;
using test::set_of;

uint32_t drops(int fd) {
  uint32_t info[SK_MEMINFO_VARS] = {};
  socklen_t length = sizeof info;
  EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length), 0);
  return info[SK_MEMINFO_DROPS];
}

// A socket with a filter, and whoever sends to it.
class Filtered {
 public:
  // IPv4, or dual-stack.
  explicit Filtered(uint8_t family)
      : to_(address_of(family == 6 ? "::" : test::loopback_address().c_str(), 0)) {
    EXPECT_EQ(open_datagram(to_.family, &fd_), 0);
    int off = 0;
    if (to_.family == 6) {
      EXPECT_EQ(setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
    }
    EXPECT_EQ(bind_socket(fd_.get(), to_), 0);
    to_ = test::name_of(fd_.get());
  }

  int fd() const { return fd_.get(); }
  int filter(const AddressSet& deny, const AddressSet* allow = nullptr) {
    std::vector<sock_filter> program = compile_filter(deny, allow, to_.family);
    EXPECT_FALSE(program.empty());
    return attach_filter(fd(), program);
  }

  // Sends a datagram from `source` and says whether it arrived. Not arriving is an event, too: the kernel
  // counts it.
  bool arrives(const Address& source, const std::string& data = "data") {
    Fd sender;
    EXPECT_EQ(open_datagram(source.family, &sender), 0);
    EXPECT_EQ(bind_socket(sender.get(), source), 0) << format_address(source);
    Address destination = to_;
    if (to_.family == 6)
      destination = address_of(source.family == 6 ? "::1" : test::loopback_address().c_str(), to_.port);
    SockAddr name = to_sockaddr(destination);
    uint32_t dropped = drops(fd());
    EXPECT_EQ(sendto(sender.get(), data.data(), data.size(), 0, &name.any, name.length),
              static_cast<ssize_t>(data.size()));
    std::string received(data.size() + 1, '\0');
    ssize_t size = -1;
    EXPECT_TRUE(eventually([&] {
      size = recv(fd(), received.data(), received.size(), 0);
      return size >= 0 || drops(fd()) != dropped;
    }));
    if (size < 0) return false;
    received.resize(static_cast<size_t>(size));
    EXPECT_EQ(received, data);
    EXPECT_EQ(drops(fd()), dropped);
    return true;
  }
  // So many datagrams whose first byte is the last of the source's name.
  void send(const std::string& source, int count) {
    Fd sender;
    EXPECT_EQ(open_datagram(4, &sender), 0);
    EXPECT_EQ(bind_socket(sender.get(), address_of(source.c_str(), 0)), 0);
    SockAddr name = to_sockaddr(to_);
    for (int i = 0; i < count; i++) {
      EXPECT_EQ(sendto(sender.get(), &source.back(), 1, 0, &name.any, name.length), 1);
    }
  }
  bool arrives(const char* source, const std::string& data = "data") {
    return arrives(address_of(source, 0), data);
  }

 private:
  Fd fd_;
  Address to_;
};

TEST(AttachFilter, lets_the_kernel_drop_denied_ipv4_sources) {
  Filtered socket(4);
  ASSERT_EQ(socket.filter(set_of({"127.0.0.3-127.0.0.5", "127.1.0.0-127.1.255.255", "::1"})), 0);
  for (const char* denied : {"127.0.0.3", "127.0.0.5", "127.1.0.0", "127.1.2.3"})
    EXPECT_FALSE(socket.arrives(denied)) << denied;
  for (const char* other : {"127.0.0.1", "127.0.0.2", "127.0.0.6", "127.2.0.0"})
    EXPECT_TRUE(socket.arrives(other)) << other;
}

TEST(AttachFilter, leaves_a_flood_of_denied_sources_no_room_in_the_buffer) {
  constexpr int kMany = 5000;  // a buffer of the default size holds some 270
  for (bool filtered : {false, true}) {
    Filtered socket(4);
    if (filtered) ASSERT_EQ(socket.filter(set_of({"127.0.0.3"})), 0);
    socket.send("127.0.0.3", kMany);
    socket.send("127.0.0.4", 100);
    int received = 0;
    char byte;
    while (recv(socket.fd(), &byte, 1, 0) == 1) received += byte == '4' ? 1 : 0;
    EXPECT_EQ(received, filtered ? 100 : 0);
  }
}

TEST(AttachFilter, lets_the_kernel_keep_only_allowed_sources) {
  Filtered socket(4);
  AddressSet allow = set_of({"127.0.0.3-127.0.0.5"});
  ASSERT_EQ(socket.filter(set_of({"127.0.0.4"}), &allow), 0);
  for (const char* allowed : {"127.0.0.3", "127.0.0.5"}) EXPECT_TRUE(socket.arrives(allowed)) << allowed;
  for (const char* other : {"127.0.0.1", "127.0.0.4", "127.0.0.6"})
    EXPECT_FALSE(socket.arrives(other)) << other;
}

TEST(AttachFilter, cuts_no_datagram) {
  Filtered socket(4);
  ASSERT_EQ(socket.filter(set_of({"127.0.0.3"})), 0);
  EXPECT_TRUE(socket.arrives("127.0.0.1", ""));
  EXPECT_TRUE(socket.arrives("127.0.0.1", std::string(60'000, 'x')));
}

TEST(AttachFilter, tells_ipv4_from_ipv6_on_a_dual_stack_socket) {
  ASSERT_TRUE(test::has_ipv6());
  Filtered socket(6);
  ASSERT_EQ(socket.filter(set_of({"127.0.0.3"})), 0);
  EXPECT_FALSE(socket.arrives("127.0.0.3"));
  EXPECT_TRUE(socket.arrives("127.0.0.2"));
  EXPECT_TRUE(socket.arrives("::1"));

  ASSERT_EQ(socket.filter(set_of({"::1"})), 0);
  EXPECT_TRUE(socket.arrives("127.0.0.3"));
  EXPECT_FALSE(socket.arrives("::1"));

  AddressSet allow = set_of({"::1", "::ffff:127.0.0.3"});
  ASSERT_EQ(socket.filter({}, &allow), 0);
  EXPECT_TRUE(socket.arrives("127.0.0.3"));
  EXPECT_FALSE(socket.arrives("127.0.0.2"));
  EXPECT_TRUE(socket.arrives("::1"));
}

TEST(AttachFilter, agrees_with_the_lists_on_real_datagrams) {
  ASSERT_TRUE(test::has_ipv6());
  Filtered ipv4(4), dual(6);
  RandomAddresses random(4);
  auto loopback = [&] {  // 127.0.0.0 … 127.0.0.31, without the first: it is no host's
    return Ipv6Number{0, kMappedFirst.low | 0x7f000000 | (1 + random.below(31))};
  };
  std::set<bool> seen;
  for (uint64_t i = 0, total = std::min<uint64_t>(fuzz_inputs(20'000) / 20, 5000); i < total;) {
    List denied, allowed;
    for (List* list : {&denied, &allowed}) {
      *list = random.list(20);
      for (int n = 0; n < 5; n++) {
        Ipv6Number first = loopback();
        list->push_back({first, {0, first.low + random.below(4)}});
      }
    }
    AddressSet deny = set_of(denied), allow = set_of(allowed);
    bool has_allow = random.below(2) == 0;
    for (Filtered* socket : {&ipv4, &dual}) ASSERT_EQ(socket->filter(deny, has_allow ? &allow : nullptr), 0);
    for (int n = 0; n < 16; n++, i++) {
      Ipv6Number source = n == 0 ? Ipv6Number{0, 1} : loopback();
      bool expected = !lists(denied, source) && (!has_allow || lists(allowed, source));
      seen.insert(expected);
      Address address = test::unmapped(source);
      EXPECT_EQ(dual.arrives(address), expected) << format_address(address);
      if (address.family == 4) {
        EXPECT_EQ(ipv4.arrives(address), expected) << format_address(address);
      }
    }
  }
  EXPECT_EQ(seen.size(), 2u);
}

// With GRO the kernel judges, and counts, a super-datagram once.
TEST(AttachFilter, drops_a_super_datagram_as_one) {
  Filtered socket(4);
  int on = 1, segment = 10;
  ASSERT_EQ(setsockopt(socket.fd(), SOL_UDP, UDP_GRO, &on, sizeof on), 0);
  ASSERT_EQ(socket.filter(set_of({"127.0.0.3"})), 0);
  Fd sender;
  ASSERT_EQ(open_datagram(4, &sender), 0);
  ASSERT_EQ(bind_socket(sender.get(), address_of("127.0.0.3", 0)), 0);
  ASSERT_EQ(setsockopt(sender.get(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
  SockAddr name = to_sockaddr(test::name_of(socket.fd()));
  ASSERT_EQ(sendto(sender.get(), std::string(200, 'x').data(), 200, 0, &name.any, name.length), 200);
  EXPECT_TRUE(eventually([&] { return drops(socket.fd()) > 0; }));
  EXPECT_TRUE(socket.arrives("127.0.0.1"));
  EXPECT_EQ(drops(socket.fd()), 1u);
}

TEST(AttachFilter, an_empty_one_changes_nothing) {
  Filtered socket(4);
  EXPECT_EQ(attach_filter(socket.fd(), {}), 0);
  EXPECT_TRUE(socket.arrives("127.0.0.3"));
  ASSERT_EQ(socket.filter(set_of({"127.0.0.3"})), 0);
  EXPECT_EQ(attach_filter(socket.fd(), {}), 0);
  EXPECT_FALSE(socket.arrives("127.0.0.3"));
}

// On older kernels there is no room for the longest program.
TEST(AttachFilter, the_longest_program_is_taken_or_refused) {
  Filtered socket(4);
  List list;
  for (uint64_t n = 0; n < 2000; n++) {
    uint64_t first = kMappedFirst.low | (0x7f000003 + n * 2);
    list.push_back({{0, first}, {0, first}});
  }
  int result = socket.filter(set_of(list));
  EXPECT_TRUE(result == 0 || result == -ENOMEM) << result;
  EXPECT_EQ(socket.arrives("127.0.0.3"), result != 0);
  EXPECT_TRUE(socket.arrives("127.0.0.4"));
}

TEST(AttachFilter, reports_what_the_kernel_refuses) {
  std::vector<sock_filter> program = compile_filter(set_of({"127.0.0.3"}), nullptr, 4);
  Fd file = test::dummy_fd();
  EXPECT_EQ(attach_filter(file.get(), program), -ENOTSOCK);
  EXPECT_EQ(attach_filter(-1, program), -EBADF);
  program.resize(BPF_MAXINSNS + 1);
  EXPECT_EQ(attach_filter(test::bound_socket().get(), program), -EINVAL);

  Filtered socket(4);
  ASSERT_EQ(socket.filter(set_of({"127.0.0.3"})), 0);
  int on = 1;
  ASSERT_EQ(setsockopt(socket.fd(), SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on), 0);
  EXPECT_EQ(socket.filter(set_of({"127.0.0.4"})), -EPERM);
  EXPECT_FALSE(socket.arrives("127.0.0.3"));
}

}  // namespace
}  // namespace ksocket
