#include "core/answer/protection/loop_guard.h"

#include <gtest/gtest.h>

#include <string>

#include "core/answer/fixed_responder.h"
#include "support/conversation.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::address_of;
using test::Lines;
using Kind = LoopGuard::Kind;

struct Guard {
  explicit Guard(LoopGuard::Options options) : loops(std::move(options), counters) {}
  bool admits(const Address& source, Kind kind = Kind::reply) { return loops.admits(source, {}, 1, kind); }

  test::CounterRow counters;
  LoopGuard loops;
};

TEST(LoopGuard, answers_nobody_at_port_0_and_no_address_that_is_none_or_many) {
  Guard guard({.own = address_of("127.0.0.1", 2325)});
  for (const Address& source :
       {address_of("192.0.2.1", 0), address_of("0.0.0.0", 9), address_of("255.255.255.255", 9),
        address_of("224.0.0.251", 5353), address_of("239.255.255.250", 1900), address_of("::", 9),
        address_of("ff02::fb", 5353), address_of("::ffff:0.0.0.0", 9), address_of("::ffff:224.0.0.1", 9),
        address_of("::ffff:255.255.255.255", 9), address_of("2001:db8::1", 0)}) {
    EXPECT_FALSE(guard.admits(source)) << format_address(source) << " " << source.port;
    EXPECT_TRUE(guard.admits(source, Kind::elsewhere)) << "an answer to somebody else";
  }
  EXPECT_EQ(guard.counters[Counter::loop_sources], 11u);
  for (const Address& source :
       {address_of("192.0.2.1", 1), address_of("223.255.255.255", 9), address_of("fe80::1", 9)}) {
    EXPECT_TRUE(guard.admits(source)) << format_address(source);
  }
}

TEST(LoopGuard, does_not_answer_the_servers_own_address) {
  Guard guard({.own = address_of("192.0.2.1", 2325)});
  EXPECT_FALSE(guard.admits(address_of("192.0.2.1", 2325)));
  EXPECT_FALSE(guard.admits(address_of("::ffff:192.0.2.1", 2325)));
  EXPECT_TRUE(guard.admits(address_of("192.0.2.1", 2326)));
  EXPECT_TRUE(guard.admits(address_of("192.0.2.2", 2325)));
}

TEST(LoopGuard, does_not_answer_any_address_of_the_machine_when_it_is_bound_to_all) {
  for (const Address& own : {address_of("0.0.0.0", 2325), address_of("::", 2325)}) {
    Guard guard({.own = own});
    EXPECT_FALSE(guard.admits(address_of("127.0.0.1", 2325)));
    EXPECT_FALSE(guard.admits(address_of("127.99.1.2", 2325)));
    EXPECT_TRUE(guard.admits(address_of("127.0.0.1", 2326)));
    EXPECT_TRUE(guard.admits(address_of("192.0.2.1", 2325))) << "the same port of another machine";
  }
  Guard guard({.own = address_of("::", 2325)});
  EXPECT_FALSE(guard.admits(address_of("::1", 2325)));
}

TEST(LoopGuard, does_not_answer_the_servers_other_sockets) {
  Guard guard({.own = address_of("127.0.0.1", 2325)});
  guard.loops.add_own(address_of("127.0.0.1", 40'000));
  EXPECT_FALSE(guard.admits(address_of("127.0.0.1", 40'000)));
  guard.loops.remove_own(address_of("127.0.0.1", 40'000));
  EXPECT_TRUE(guard.admits(address_of("127.0.0.1", 40'001)));
  EXPECT_TRUE(guard.admits(address_of("127.0.0.1", 40'000)));
}

TEST(LoopGuard, does_not_echo_to_services_that_answer_by_themselves) {
  Guard echoes({.own = address_of("127.0.0.1", 2325), .service_ports = {7, 19}});
  EXPECT_FALSE(echoes.admits(address_of("192.0.2.1", 19), Kind::echo));
  EXPECT_TRUE(echoes.admits(address_of("192.0.2.1", 19), Kind::reply));
  EXPECT_TRUE(echoes.admits(address_of("192.0.2.1", 20), Kind::echo));
  Guard all({.own = address_of("127.0.0.1", 2325), .service_ports = {7, 19}, .services_get_replies = false});
  EXPECT_FALSE(all.admits(address_of("192.0.2.1", 7), Kind::echo));
  EXPECT_FALSE(all.admits(address_of("192.0.2.1", 7), Kind::reply));
}

TEST(LoopGuard, limits_what_repeats_also_where_answers_go_elsewhere) {
  for (Kind kind : {Kind::echo, Kind::reply, Kind::elsewhere}) {
    Guard guard({.own = address_of("127.0.0.1", 2325), .repeats = RateLimit{1, 10}});
    guard.loops.begin(1);
    int answered = 0;
    for (int i = 0; i < 100; i++) answered += guard.admits(address_of("192.0.2.1", 4000), kind) ? 1 : 0;
    EXPECT_EQ(answered, 10);
    EXPECT_EQ(guard.counters[Counter::loop_repeats], 90u);
  }
}

// JavaScript gets what is not answered: a datagram from port 0 wants no answer (RFC 768).
TEST(LoopGuard, leaves_datagrams_to_javascript) {
  test::CounterRow counters;
  LoopGuard loops({.own = address_of("127.0.0.1", 2325)}, counters);
  FixedResponder::Options options;
  options.kind = FixedResponder::Kind::echo;
  options.loops = &loops;
  test::Conversation<FixedResponder> talk(std::move(options), 7, kDatagramBytesMax, true);
  EXPECT_EQ(talk.hear(0, "one way").hear(2325, "from us").hear(1, "hello").answers(), (Lines{"1: hello"}));
  EXPECT_EQ(talk.delivered, (Lines{"one way", "from us", "hello"}));
  EXPECT_EQ(counters[Counter::loop_sources], 2u);
}

TEST(ListensOn, knows_the_socket_by_each_of_its_addresses) {
  LocalAddresses local;
  auto comes = [&](const Address& own, const Address& to) { return listens_on(own, to, local, 1); };
  Address loopback = address_of("127.0.0.1", 5), any = address_of("0.0.0.0", 5), any6 = address_of("::", 5);
  EXPECT_TRUE(comes(loopback, loopback));
  EXPECT_TRUE(comes(loopback, any)) << "0.0.0.0 as a destination is 127.0.0.1";
  EXPECT_TRUE(comes(any, address_of("127.0.0.2", 5)));
  EXPECT_TRUE(comes(any6, loopback));
  EXPECT_TRUE(comes(any6, address_of("::1", 5)));
  EXPECT_TRUE(comes(address_of("::1", 5), any6));
  EXPECT_FALSE(comes(any, address_of("::1", 5))) << "an IPv4 socket";
  EXPECT_FALSE(comes(loopback, address_of("127.0.0.2", 5)));
  EXPECT_FALSE(comes(loopback, address_of("127.0.0.1", 6)));
  EXPECT_FALSE(comes(any, address_of("192.0.2.1", 5)));
}

TEST(LocalAddresses, are_those_of_the_interfaces) {
  LocalAddresses local;
  EXPECT_TRUE(local.contains(address_of("::1", 5), 1));
  EXPECT_TRUE(local.contains(address_of("127.9.9.9", 5), 1));
  EXPECT_FALSE(local.contains(address_of("::", 5), 1)) << "what a link-layer address is read as";
  EXPECT_FALSE(local.contains(address_of("0.0.0.0", 5), 1));
  EXPECT_FALSE(local.contains(address_of("192.0.2.1", 5), 1));
}

}  // namespace
}  // namespace ksocket
