// Which flows make room for others, and for the process.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/relay.h"

namespace ksocket {
namespace {

using test::Peer;
using test::Relay;
using test::serve;
using test::spoofed_by;

// A request of `client` that is answered.
void exchange(Relay& relay, Peer& client, Peer& back_end) {
  relay.arrive(client.address(), "x");
  serve(back_end, "x", "answered");
  EXPECT_EQ(relay.answer(client), "answered");
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

// However long ago it was opened.
TEST(Forwarder, evicts_the_flow_that_was_used_longest_ago) {
  for (bool answers : {false, true}) {
    Peer back_end, early, other;
    Relay relay({&back_end}, {.targets = {}, .flows_max = 2});
    auto ask = [&](Peer& client) {
      relay.arrive(client.address(), "x");
      EXPECT_EQ(back_end.receive(), "x");
    };
    for (Peer* client : {&early, &other}) answers ? exchange(relay, *client, back_end) : ask(*client);
    ask(early);
    relay.arrive(spoofed_by(other, 1), "new");
    EXPECT_EQ(back_end.receive(), "new");
    EXPECT_EQ(relay.row[Counter::flows_evicted], 1u);
    ask(early);
    EXPECT_EQ(relay.row[Counter::flows_opened], 3u) << "the other one's flow is gone, answered: " << answers;
  }
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

// What a flow is about to send would be lost with it, or leave through the one that takes its place.
TEST(Forwarder, evicts_no_flow_that_the_batch_at_hand_has_used) {
  Peer back_end, answered, asking;
  Relay relay({&back_end}, {.targets = {}, .flows_max = 3});
  std::vector<Address> clients;
  for (uint16_t port = 1; port <= 5; port++) clients.push_back(spoofed_by(asking, port));
  relay.arrive_together(clients, "first");
  std::vector<Address> flows(3);
  for (Address& flow : flows) EXPECT_EQ(back_end.receive(&flow), "first");
  EXPECT_TRUE(back_end.quiet());
  EXPECT_FALSE(flows[0] == flows[1] || flows[1] == flows[2] || flows[0] == flows[2]);
  EXPECT_EQ(relay.row[Counter::forwarded], 3u);
  EXPECT_EQ(relay.row[Counter::forward_drops], 2u);
  EXPECT_EQ(relay.row[Counter::flows_evicted], 0u);

  // With the next batch there is room again, and once for each.
  relay.arrive_together({clients[3], clients[4]}, "second");
  for (int i = 0; i < 2; i++) EXPECT_EQ(back_end.receive(), "second");
  EXPECT_EQ(relay.row[Counter::flows_evicted], 2u);
  EXPECT_EQ(relay.row[Counter::forward_drops], 2u);
}

// Those with an answer are used up later than those without.
TEST(Forwarder, evicts_an_answered_flow_where_the_batch_at_hand_has_used_all_others) {
  Peer back_end, answered, asking;
  Relay relay({&back_end}, {.targets = {}, .flows_max = 2});
  exchange(relay, answered, back_end);
  relay.arrive_together({spoofed_by(asking, 1), spoofed_by(asking, 2), spoofed_by(asking, 3)}, "new");
  for (int i = 0; i < 2; i++) EXPECT_EQ(back_end.receive(), "new");
  EXPECT_TRUE(back_end.quiet());
  EXPECT_EQ(relay.row[Counter::flows_evicted], 1u);
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
    EXPECT_EQ(open_datagram(4, &others.emplace_back()), 0) << "the " << i << "th of the process's own";
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
    relay.send(forwarder, spoofed_by(client, 1), "a");
    full = true;
    relay.send(forwarder, spoofed_by(client, 2), "b");
    EXPECT_EQ(back_end.receive(), "a");
    EXPECT_EQ(back_end.receive(), "b") << error;
    EXPECT_EQ(forwarder.open(), 1u);
  }
}

}  // namespace
}  // namespace ksocket
