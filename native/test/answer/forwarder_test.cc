#include "core/answer/forwarder.h"

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/base/kernel_names.h"
#include "core/control/control.h"
#include "core/socket/options.h"
#include "support/gated_engine.h"
#include "support/relay.h"

namespace ksocket {
namespace {

using test::kSecond;
using test::Peer;
using test::Relay;
using test::serve;
using test::spoofed_by;
using Balance = Forwarder::Balance;

TEST(Forwarder, takes_a_request_to_the_back_end_and_the_answer_to_its_client) {
  Peer back_end, alice, bob;
  Relay relay({&back_end});
  relay.arrive(alice.address(), "a");
  serve(back_end, "a", "for alice");
  relay.arrive(bob.address(), "b");
  serve(back_end, "b", "for bob");
  EXPECT_EQ(relay.answer(bob), "for bob");
  EXPECT_EQ(relay.answer(alice), "for alice");
  EXPECT_EQ(relay.forwarder->open(), 2u);
  EXPECT_EQ(relay.row[Counter::forwarded], 2u);
  EXPECT_EQ(relay.row[Counter::returned], 2u);
  EXPECT_EQ(relay.row[Counter::flows_opened], 2u);
}

TEST(Forwarder, counts_what_is_empty_too) {
  Peer back_end, client;
  Relay relay({&back_end});
  relay.arrive(client.address(), "");
  serve(back_end, "", "");
  EXPECT_EQ(relay.answer(client), "");
  EXPECT_EQ(relay.row[Counter::forwarded], 1u);
  EXPECT_EQ(relay.row[Counter::returned], 1u);
}

// Says of each datagram that it is a super-datagram of datagrams as long as itself.
class JoinsOne : public test::ForwardingEngine {
 public:
  using ForwardingEngine::ForwardingEngine;
  int receive(int fd, std::span<Message> messages) override {
    int got = ForwardingEngine::receive(fd, messages);
    for (int i = 0; i < got; i++) {
      Message& message = messages[static_cast<size_t>(i)];
      message.header.msg_controllen = 0;
      append_control(&message.header, kRxControlBytes, SOL_UDP, UDP_GRO, static_cast<int>(message.length));
    }
    return got;
  }
};

TEST(Forwarder, takes_a_datagram_for_one_whatever_the_kernel_joins) {
  Peer back_end, client;
  Relay relay({&back_end});
  relay.engine = std::make_unique<JoinsOne>(std::move(relay.engine));
  relay.arrive(client.address(), "a");
  serve(back_end, "a", "answer");
  EXPECT_EQ(relay.answer(client), "answer");
  EXPECT_EQ(relay.row[Counter::returned], 1u);
}

TEST(Forwarder, keeps_the_flow_of_a_client_and_the_order_of_its_datagrams) {
  Peer back_end, client;
  Relay relay({&back_end});
  std::vector<Address> from(3);
  for (int i = 0; i < 3; i++) relay.arrive(client.address(), std::to_string(i));
  for (int i = 0; i < 3; i++) EXPECT_EQ(back_end.receive(&from[i]), std::to_string(i));
  EXPECT_TRUE(from[0] == from[1] && from[1] == from[2]);
  EXPECT_EQ(relay.forwarder->open(), 1u);
}

TEST(Forwarder, passes_the_datagrams_of_a_super_datagram_on) {
  Peer back_end, client;
  Relay relay({&back_end});
  relay.arrive(client.address(), "aaaabbbbcc", 4);
  for (const char* data : {"aaaa", "bbbb", "cc"}) EXPECT_EQ(back_end.receive(), data);
  EXPECT_EQ(relay.row[Counter::forwarded], 3u);
}

TEST(Forwarder, gives_each_new_client_the_next_back_end_and_leaves_it_there) {
  Peer first, second, alice, bob;
  Relay relay({&first, &second}, {.targets = {}, .balance = Balance::round_robin});
  for (int round = 0; round < 2; round++) {
    relay.arrive(alice.address(), "alice");
    relay.arrive(bob.address(), "bob");
    EXPECT_EQ(first.receive(), "alice");
    EXPECT_EQ(second.receive(), "bob");
  }
}

TEST(Forwarder, balances_by_the_source_address_alone) {
  std::vector<Peer> back_ends(4);
  Relay relay({&back_ends[0], &back_ends[1], &back_ends[2], &back_ends[3]});
  Address client;
  client.family = 4;
  std::map<size_t, int> used;
  for (uint8_t host = 1; host <= 40; host++) {
    const uint8_t bytes[] = {127, 9, 9, host};
    std::memcpy(client.bytes, bytes, 4);
    for (uint16_t port : {1000, 2000}) {
      client.port = port;
      relay.arrive(client, std::to_string(host));
    }
    size_t where = 0;
    while (back_ends[where].quiet()) ASSERT_LT(++where, back_ends.size());
    used[where]++;
    for (int i = 0; i < 2; i++) EXPECT_EQ(back_ends[where].receive(), std::to_string(host));
  }
  EXPECT_EQ(used.size(), 4u) << "40 clients, and a back end without any";
}

TEST(Forwarder, asks_all_back_ends_where_it_is_told_to) {
  Peer first, second, client;
  Relay relay({&first, &second}, {.targets = {}, .balance = Balance::all});
  relay.arrive(client.address(), "hello");
  serve(first, "hello", "one");
  EXPECT_EQ(relay.answer(client), "one");
  serve(second, "hello", "two");
  EXPECT_EQ(relay.answer(client), "two");
}

TEST(Forwarder, closes_idle_flows_only) {
  Peer back_end, idle, busy;
  Relay relay({&back_end}, {.targets = {}, .idle_ns = 10 * kSecond});
  relay.arrive(idle.address(), "x");
  relay.arrive(busy.address(), "x");
  relay.now += 9 * kSecond;
  relay.arrive(busy.address(), "x");
  relay.forwarder->expire(relay.now);
  EXPECT_EQ(relay.forwarder->open(), 2u);
  relay.now += kSecond;
  relay.forwarder->expire(relay.now);
  EXPECT_EQ(relay.forwarder->open(), 1u);
  EXPECT_EQ(relay.watched.size(), 1u);
  EXPECT_EQ(relay.row[Counter::flows_expired], 1u);
}

// It would be one more flow for each round.
TEST(Forwarder, has_no_flow_for_what_its_own_flows_have_sent) {
  Peer back_end, client;
  Relay relay({&back_end});
  LoopGuard loops({.own = test::name_of(relay.server.get())}, relay.row);
  Forwarder::Options options;
  options.targets = {back_end.address()};
  Forwarder forwarder(std::move(options), 0, {[](int, uint32_t) { return 0; }, [](int) {}, {}, &loops}, true,
                      relay.row);
  relay.send(forwarder, client.address(), "a");
  Address flow;
  EXPECT_EQ(back_end.receive(&flow), "a");
  relay.send(forwarder, flow, "a");
  EXPECT_EQ(forwarder.open(), 1u);
  EXPECT_EQ(relay.row[Counter::loop_sources], 1u);
}

// Each passes on what it gets from a socket that the other one takes for a new client.
TEST(Forwarder, ends_a_ring_of_forwarders) {
  Peer back_end, client;
  Relay relay({&back_end});
  LoopGuard loops({.own = test::name_of(relay.server.get()), .repeats = RateLimit{100, 16384}}, relay.row);
  Forwarder::Options options{.targets = {back_end.address()}, .flows_max = 64};
  Forwarder forwarder(std::move(options), 0, {[](int, uint32_t) { return 0; }, [](int) {}, {}, &loops}, true,
                      relay.row);
  uint16_t hop = 0;
  do {
    relay.send(forwarder, spoofed_by(client, ++hop), "round and round");
  } while (relay.row[Counter::loop_repeats] == 0 && hop < 5000);
  EXPECT_EQ(hop, 1 + 64 + FlowRepeats::kEvictionsAtOnce);
  EXPECT_EQ(relay.row[Counter::forward_drops], 1u);
  EXPECT_EQ(forwarder.open(), 64u);

  uint64_t drops = relay.row[Counter::forward_drops];
  for (int i = 0; i < 1000; i++) {
    relay.send(forwarder, spoofed_by(client, ++hop), "client " + std::to_string(i));
  }
  EXPECT_EQ(relay.row[Counter::forward_drops], drops) << "who says something new gets a flow";
  relay.now += kSecond;
  relay.send(forwarder, spoofed_by(client, ++hop), "round and round");
  EXPECT_EQ(relay.row[Counter::forward_drops], drops) << "and so does who says the same, a hundred a second";
}

// As behind a router: through flows that are all open a datagram would go round for ever.
TEST(Forwarder, passes_on_with_a_hop_less_to_go) {
  Peer back_end, client;
  Relay relay({&back_end});
  LoopGuard loops({.own = test::name_of(relay.server.get())}, relay.row);
  Forwarder::Options options{.targets = {back_end.address()}};
  int flow = -1;
  Forwarder forwarder(std::move(options), 0,
                      {[&](int fd, uint32_t) { return flow = fd, 0; }, [](int) {}, {}, &loops}, true,
                      relay.row);
  auto sent_with = [&] {
    int hops = 0;
    EXPECT_EQ(get_option(flow, 4, SocketOption::ttl, &hops), 0);
    return hops;
  };
  for (int hops : {64, 255, 2, 40, 40}) {
    relay.hops = static_cast<uint8_t>(hops);
    relay.send(forwarder, client.address(), "x");
    EXPECT_EQ(back_end.receive(), "x");
    EXPECT_EQ(sent_with(), hops - 1);
  }
  relay.hops = 1;
  relay.send(forwarder, client.address(), "the last hop");
  relay.send(forwarder, spoofed_by(client, 1), "the last hop");
  EXPECT_TRUE(back_end.quiet());
  EXPECT_EQ(relay.row[Counter::loop_repeats], 2u);
  EXPECT_EQ(relay.row[Counter::forward_drops], 2u);
  EXPECT_EQ(forwarder.open(), 1u);
  relay.hops = 0;
  relay.send(forwarder, spoofed_by(client, 2), "who knows");
  EXPECT_EQ(back_end.receive(), "who knows");
  EXPECT_EQ(sent_with(), 64);
}

TEST(Forwarder, of_what_leaves_together_the_fewest_hops_hold) {
  Peer back_end, client;
  Relay relay({&back_end});
  LoopGuard loops({.own = test::name_of(relay.server.get())}, relay.row);
  Forwarder::Options options{.targets = {back_end.address()}};
  int flow = -1;
  Forwarder forwarder(std::move(options), 0,
                      {[&](int fd, uint32_t) { return flow = fd, 0; }, [](int) {}, {}, &loops}, true,
                      relay.row);
  auto* base = reinterpret_cast<const uint8_t*>("x");
  for (int hops : {30, 20, 60}) {
    forwarder.forward(client.address(), base, 0, 1, 0, static_cast<uint8_t>(hops), relay.now);
  }
  int hops = 0;
  EXPECT_EQ(get_option(flow, 4, SocketOption::ttl, &hops), 0);
  EXPECT_EQ(hops, 19);
  forwarder.flush(relay.tools(), base);
  for (int i = 0; i < 3; i++) EXPECT_EQ(back_end.receive(), "x");
}

// By that the thread knows whether it may wait, and for whom to look.
TEST(Forwarder, says_of_a_round_what_came_back) {
  Peer back_end, client;
  Relay relay({&back_end});
  relay.arrive(client.address(), "a");
  serve(back_end, "a", "b");
  EXPECT_EQ(relay.answer(client), "b");
  EXPECT_EQ(relay.round.datagrams, 1u);
  EXPECT_EQ(relay.round.forwarded, 1u);
  EXPECT_EQ(relay.round.returned, 1u);
}

// The back end answers faster than we look.
TEST(Forwarder, counts_answers_that_a_flows_receive_buffer_had_no_room_for) {
  constexpr uint32_t kAnswers = 2000;
  Peer client, back_end;
  Relay relay({&back_end});
  relay.arrive(client.address(), "request");
  Address from;
  ASSERT_EQ(back_end.receive(&from), "request");
  for (uint32_t i = 0; i < kAnswers; i++) ASSERT_TRUE(back_end.send(from, "answer"));
  uint32_t key = relay.watched.begin()->first;
  uint64_t before;
  do {
    before = relay.row[Counter::returned];
    relay.forwarder->ready(relay.tools(), key, relay.to_clients, relay.now);
  } while (relay.row[Counter::returned] != before);
  EXPECT_GT(relay.row[Counter::rx_kernel_drops], 0u);
  EXPECT_EQ(relay.row[Counter::returned] + relay.row[Counter::rx_kernel_drops], kAnswers);

  // Its buffer is larger from then on, as far as the system lets it.
  uint64_t dropped = relay.row[Counter::rx_kernel_drops];
  for (uint32_t i = 0; i < kAnswers; i++) ASSERT_TRUE(back_end.send(from, "answer"));
  relay.forwarder.reset();  // what nobody looks at any more, too
  EXPECT_LE(relay.row[Counter::rx_kernel_drops] - dropped, dropped);
}

TEST(Forwarder, without_the_guard_hops_are_not_looked_at) {
  Peer back_end, client;
  Relay relay({&back_end});
  relay.hops = 1;
  relay.arrive(client.address(), "x");
  EXPECT_EQ(back_end.receive(), "x");
}

// Port 0 says that no answer is wanted: the datagram goes on, its answer has nowhere to go.
TEST(Forwarder, passes_on_what_wants_no_answer) {
  Peer back_end, client;
  Relay relay({&back_end});
  LoopGuard loops({.own = test::name_of(relay.server.get())}, relay.row);
  Forwarder::Options options{.targets = {back_end.address()}};
  Forwarder forwarder(std::move(options), 0, {[](int, uint32_t) { return 0; }, [](int) {}, {}, &loops}, true,
                      relay.row);
  relay.send(forwarder, spoofed_by(client, 0), "one way");
  EXPECT_EQ(back_end.receive(), "one way");
  EXPECT_EQ(relay.row[Counter::forwarded], 1u);
}

TEST(Forwarder, lets_a_flow_rest_from_which_nothing_can_be_received) {
  Peer back_end, client;
  Relay relay({&back_end});
  relay.arrive(client.address(), "a");
  auto watched = relay.watched;
  ASSERT_EQ(watched.size(), 1u);
  uint32_t key = watched.begin()->first;
  int calls = 0;
  for (; !relay.watched.empty() && calls < 100; calls++) {
    relay.forwarder->ready(relay.tools(), key, relay.to_clients, relay.now);  // there is nothing: EAGAIN
  }
  EXPECT_EQ(calls, 16);
  EXPECT_EQ(relay.forwarder->open(), 1u);
  relay.forwarder->expire(relay.now);
  EXPECT_EQ(relay.watched, watched);
  serve(back_end, "a", "b");
  EXPECT_EQ(relay.answer(client), "b");
}

TEST(Forwarder, keeps_the_flow_to_a_back_end_that_is_not_there) {
  Address address;
  {
    Peer gone;
    address = gone.address();
  }
  Peer client, back_end;
  Relay relay({&back_end});
  // Nobody listens there: the kernel reports it with the next call on the flow's socket.
  Forwarder::Options options;
  options.targets = {address};
  Forwarder to_nobody(std::move(options), 0, {[](int, uint32_t) { return 0; }, [](int) {}}, true, relay.row);
  for (int i = 0; i < 3; i++) {
    relay.send(to_nobody, client.address(), "x");
    to_nobody.ready(relay.tools(), 0, relay.to_clients, relay.now);
  }
  EXPECT_EQ(to_nobody.open(), 1u);
  EXPECT_EQ(relay.row[Counter::returned], 0u);
}

}  // namespace
}  // namespace ksocket
