#include "core/answer/forwarder.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "engine/choose.h"
#include "support/loopback.h"
#include "support/ring_memory.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::eventually;
using test::Peer;
using Balance = Forwarder::Balance;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kFirstKey = 100;

// A forwarder between clients and back ends on loopback; the test is the thread that it works on.
class Relay {
 public:
  Relay(std::vector<const Peer*> back_ends, Forwarder::Options options = {}) {
    for (const Peer* peer : back_ends) options.targets.push_back(peer->address());
    forwarder = std::make_unique<Forwarder>(
        std::move(options), kFirstKey,
        Forwarder::Host{
            [this](int fd, uint32_t key) { return watched[key] = fd, 0; },
            [this](int fd) { std::erase_if(watched, [&](auto& one) { return one.second == fd; }); }},
        engine->traits().offloads, row);
  }

  // As if `client` had sent this to the server.
  void arrive(const Address& client, const std::string& data, uint16_t segment_size = 0) {
    forwarder->forward(client, 0, static_cast<uint32_t>(data.size()), segment_size, now);
    forwarder->flush(tools(), reinterpret_cast<const uint8_t*>(data.data()));
  }
  // Until `client` has an answer.
  std::string answer(Peer& client) {
    std::string out = "nothing";
    EXPECT_TRUE(eventually([&] {
      auto keys = watched;
      for (auto [key, fd] : keys) forwarder->ready(tools(), key, to_clients, now);
      if (client.quiet()) return false;
      out = client.receive().value_or("nothing");
      return true;
    }));
    return out;
  }
  ResponderTools tools() { return {*engine, flush, batch}; }

  std::unique_ptr<Engine> engine = choose_engine("").engine;
  TxFlush flush;
  RxBatch batch;
  test::CounterRow row;
  Fd server = test::bound_socket();
  Answers to_clients{server.get(), 4, true, nullptr, row};
  uint64_t now = kSecond;
  std::map<uint32_t, int> watched;
  std::unique_ptr<Forwarder> forwarder;
};

// Receives a datagram and answers it with `answer`.
void serve(Peer& back_end, const std::string& request, const std::string& answer) {
  Address from;
  ASSERT_EQ(back_end.receive(&from), request);
  ASSERT_TRUE(back_end.send(from, answer));
}

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

// A request of `client` that is answered.
void exchange(Relay& relay, Peer& client, Peer& back_end) {
  relay.arrive(client.address(), "x");
  serve(back_end, "x", "answered");
  EXPECT_EQ(relay.answer(client), "answered");
}

Address spoofed_by(const Peer& peer, uint16_t port) {
  Address out = peer.address();
  out.port = port;
  return out;
}

TEST(Forwarder, keeps_a_client_that_was_answered_twice_through_a_flood) {
  Peer back_end, client;
  Relay relay({&back_end}, {.targets = {}, .flows_max = 3});
  for (int i = 0; i < 2; i++) exchange(relay, client, back_end);
  for (uint16_t port = 1; port <= 1000; port++) {
    relay.now++;
    relay.arrive(spoofed_by(client, port), "flood");
    EXPECT_EQ(back_end.receive(), "flood");
  }
  EXPECT_EQ(relay.forwarder->open(), 3u);
  EXPECT_EQ(relay.watched.size(), 3u);
  EXPECT_EQ(relay.row[Counter::flows_opened], 1001u);
  EXPECT_EQ(relay.row[Counter::flows_evicted], 998u);
  exchange(relay, client, back_end);
  EXPECT_EQ(relay.row[Counter::flows_opened], 1001u);
}

// A back end answers spoofed sources, too: once each.
TEST(Forwarder, evicts_flows_that_were_answered_once_when_there_are_no_others) {
  Peer back_end;
  std::vector<Peer> spoofed(3);
  Relay relay({&back_end}, {.targets = {}, .flows_max = 2});
  for (Peer& source : spoofed) exchange(relay, source, back_end);
  EXPECT_EQ(relay.row[Counter::flows_opened], 3u);
  EXPECT_EQ(relay.row[Counter::flows_evicted], 1u);
  EXPECT_EQ(relay.row[Counter::forward_drops], 0u);
}

TEST(Forwarder, evicts_who_has_no_answer_before_who_has_one_however_old) {
  Peer back_end, answered, asking;
  Relay relay({&back_end}, {.targets = {}, .flows_max = 2});
  exchange(relay, answered, back_end);
  relay.arrive(asking.address(), "no answer");
  EXPECT_EQ(back_end.receive(), "no answer");
  relay.arrive(spoofed_by(asking, 1), "new");
  EXPECT_EQ(back_end.receive(), "new");
  exchange(relay, answered, back_end);
  EXPECT_EQ(relay.row[Counter::flows_opened], 3u) << "the answered one still had its flow";
}

// Two answers to one request are no second request answered.
TEST(Forwarder, counts_requests_that_were_answered_and_not_answers) {
  Peer back_end, client, other;
  Relay relay({&back_end}, {.targets = {}, .flows_max = 1});
  relay.arrive(client.address(), "x");
  Address flow;
  ASSERT_EQ(back_end.receive(&flow), "x");
  for (int i = 0; i < 2; i++) {
    ASSERT_TRUE(back_end.send(flow, "y"));
    EXPECT_EQ(relay.answer(client), "y");
  }
  exchange(relay, other, back_end);
  EXPECT_EQ(relay.row[Counter::forward_drops], 0u);
}

TEST(Forwarder, drops_and_counts_where_every_flow_is_in_use) {
  Peer back_end;
  std::vector<Peer> clients(3);
  Relay relay({&back_end}, {.targets = {}, .flows_max = 2});
  for (int i = 0; i < 2; i++) {
    for (int k = 0; k < 2; k++) exchange(relay, clients[i], back_end);
  }
  relay.arrive(clients[2].address(), "no place");
  EXPECT_TRUE(back_end.quiet());
  EXPECT_EQ(relay.row[Counter::forward_drops], 1u);
}

// Lets this process have so many descriptors more, at most.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit now{limit, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(Forwarder, leaves_a_quarter_of_the_descriptors_to_the_process) {
  Peer back_end, client;
  Relay relay({&back_end});
  DescriptorLimit limit(256);
  for (uint16_t port = 1; port <= 1000; port++) {
    relay.arrive(spoofed_by(client, port), "flood");
    EXPECT_EQ(back_end.receive(), "flood");
  }
  std::vector<Fd> others;
  for (int i = 0; i < 60; i++) {  // shells leave some of theirs to whom they start
    EXPECT_EQ(open_udp(4, &others.emplace_back()), 0) << "the " << i << "th of the process's own";
  }
  EXPECT_EQ(relay.row[Counter::forward_drops], 0u);
  EXPECT_GT(relay.row[Counter::flows_evicted], 700u);
}

TEST(Forwarder, makes_room_and_tries_again_where_the_kernel_has_none) {
  for (int error : {-ENOSPC, -ENOMEM, -ENOBUFS, -ENFILE, -EMFILE}) {
    Peer back_end, client;
    Relay relay({&back_end});
    bool full = false;
    Forwarder::Options options;
    options.targets = {back_end.address()};
    Forwarder forwarder(std::move(options), 0,
                        {[&](int, uint32_t) { return full ? error : 0; }, [&](int) { full = false; }}, true,
                        relay.row);
    forwarder.forward(spoofed_by(client, 1), 0, 1, 0, relay.now);
    forwarder.flush(relay.tools(), reinterpret_cast<const uint8_t*>("a"));
    full = true;
    forwarder.forward(spoofed_by(client, 2), 0, 1, 0, relay.now);
    forwarder.flush(relay.tools(), reinterpret_cast<const uint8_t*>("b"));
    EXPECT_EQ(back_end.receive(), "a");
    EXPECT_EQ(back_end.receive(), "b") << error;
    EXPECT_EQ(forwarder.open(), 1u);
  }
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
  forwarder.forward(client.address(), 0, 1, 0, relay.now);
  forwarder.flush(relay.tools(), reinterpret_cast<const uint8_t*>("a"));
  Address flow;
  EXPECT_EQ(back_end.receive(&flow), "a");
  forwarder.forward(flow, 0, 1, 0, relay.now);
  EXPECT_EQ(forwarder.open(), 1u);
  EXPECT_EQ(relay.row[Counter::loop_sources], 1u);
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
    to_nobody.forward(client.address(), 0, 1, 0, relay.now);
    to_nobody.flush(relay.tools(), reinterpret_cast<const uint8_t*>("x"));
    to_nobody.ready(relay.tools(), 0, relay.to_clients, relay.now);
  }
  EXPECT_EQ(to_nobody.open(), 1u);
  EXPECT_EQ(relay.row[Counter::returned], 0u);
}

}  // namespace
}  // namespace ksocket
