// A forwarder's flows go to another one, as of another process.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/answer/forwarder.h"
#include "support/flow_rows.h"

namespace ksocket {
namespace {

using test::known_of;
using test::kRule;
using test::kSecond;
using test::Peer;
using test::Relay;
using test::Rows;
using test::rows_of;
using test::serve;
using test::take;

// Of all that `from` has, at once.
void hand_over(const Relay& from, Relay& to) {
  take(to, rows_of(from));
  to.forwarder->settle();
  to.forwarder->begin();
}

TEST(ForwarderHandOver, a_client_has_the_same_flow_there) {
  Peer back_end, client;
  Relay before({&back_end}), after({&back_end});
  before.arrive(client.address(), "1");
  Address first, second;
  EXPECT_EQ(back_end.receive(&first), "1");
  hand_over(before, after);
  EXPECT_EQ(after.forwarder->open(), 1u);
  EXPECT_EQ(after.row[Counter::flows_opened], 1u);
  after.arrive(client.address(), "2");
  EXPECT_EQ(back_end.receive(&second), "2");
  EXPECT_EQ(first, second);
  EXPECT_EQ(after.row[Counter::flows_opened], 1u);
  ASSERT_TRUE(back_end.send(first, "late"));
  EXPECT_EQ(after.answer(client), "late");
}

TEST(ForwarderHandOver, nothing_is_read_before_all_are_there) {
  Peer back_end, client;
  Relay before({&back_end}), after({&back_end});
  before.arrive(client.address(), "1");
  take(after, rows_of(before));
  EXPECT_TRUE(after.watched.empty());
  after.forwarder->settle();
  after.forwarder->begin();
  EXPECT_EQ(after.watched.size(), 1u);
}

TEST(ForwarderHandOver, a_second_that_passes_before_it_begins_does_no_harm) {
  Peer back_end, client;
  Relay before({&back_end}), after({&back_end});
  before.arrive(client.address(), "1");
  take(after, rows_of(before));
  after.forwarder->settle();
  after.forwarder->expire(after.now);
  EXPECT_EQ(after.watched.size(), 1u);
  after.forwarder->begin();
  EXPECT_EQ(after.watch_calls, 1u);  // the kernel refuses a second one, EEXIST
  EXPECT_EQ(after.forwarder->open(), 1u);
}

TEST(ForwarderHandOver, rows_come_in_parts_and_known_flows_without_a_descriptor) {
  Peer back_end;
  std::vector<Peer> clients(5);
  Relay before({&back_end}), after({&back_end});
  for (const Peer& client : clients) before.arrive(client.address(), "x");
  std::set<int> places;
  KnownFlows known;
  uint32_t first = 0;
  for (int part = 0; part < 3; part++) {
    Rows rows = rows_of(before, {}, first, 2);
    EXPECT_EQ(rows.all.size(), part < 2 ? 2u : 1u);
    for (const FlowRow& row : rows.all) EXPECT_GE(row.fd, 0);
    known.merge(known_of(rows));
    take(after, rows);
    first = static_cast<uint32_t>(rows.next);
  }
  EXPECT_EQ(known.size(), 5u);
  EXPECT_EQ(first, before.forwarder->options().flows_max);
  Peer late;
  before.arrive(late.address(), "x");
  Rows all = rows_of(before, known);
  ASSERT_EQ(all.all.size(), 6u);
  int with_fd = 0;
  for (const FlowRow& row : all.all) with_fd += row.fd >= 0;
  EXPECT_EQ(with_fd, 1);
  after.forwarder->mark_absent();
  take(after, all);
  after.forwarder->settle();
  after.forwarder->begin();
  EXPECT_EQ(after.forwarder->open(), 6u);
  EXPECT_EQ(after.watched.size(), 6u);
}

TEST(ForwarderHandOver, a_flow_that_has_ended_meanwhile_ends_there_and_a_clients_new_one_takes_its_place) {
  Peer back_end, gone, again;
  Relay before({&back_end}, {.idle_ns = kSecond, .flows_max = 64}), after({&back_end});
  before.arrive(gone.address(), "x");
  before.arrive(again.address(), "x");
  Rows first = rows_of(before);
  take(after, first);
  EXPECT_EQ(after.forwarder->open(), 2u);
  before.now += 2 * kSecond;
  before.forwarder->expire(before.now);
  before.arrive(again.address(), "y");
  after.forwarder->mark_absent();
  take(after, rows_of(before, known_of(first)));
  after.forwarder->settle();
  after.forwarder->begin();
  EXPECT_EQ(after.forwarder->open(), 1u);
  Address from_before, from_after;
  for (int i = 0; i < 3; i++) back_end.receive(&from_before);  // x, x, y
  after.arrive(again.address(), "z");
  EXPECT_EQ(back_end.receive(&from_after), "z");
  EXPECT_EQ(from_before, from_after);
}

TEST(ForwarderHandOver, a_flow_is_as_old_there_and_as_sure_of_its_place) {
  Peer back_end, answered, idle, fresh, another;
  Relay before({&back_end}, {.idle_ns = 10 * kSecond, .flows_max = 3});
  Relay after({&back_end}, {.idle_ns = 10 * kSecond, .flows_max = 3});
  for (int i = 0; i < 2; i++) {
    before.arrive(answered.address(), "q");
    serve(back_end, "q", "a");
    EXPECT_EQ(before.answer(answered), "a");
  }
  // The least recently used comes last in the rows.
  before.arrive(fresh.address(), "f");
  before.arrive(idle.address(), "i");
  before.now += kSecond;
  before.arrive(fresh.address(), "f");
  after.now = 100 * kSecond;
  hand_over(before, after);
  after.arrive(another.address(), "n");
  EXPECT_EQ(after.row[Counter::flows_evicted], 1u);
  after.arrive(answered.address(), "q");
  after.arrive(fresh.address(), "f");
  EXPECT_EQ(after.row[Counter::flows_evicted], 1u);  // of `idle`
  after.now += 9 * kSecond + kSecond / 2;
  after.forwarder->expire(after.now);
  EXPECT_EQ(after.row[Counter::flows_expired], 0u);
  after.now += kSecond;
  after.forwarder->expire(after.now);
  EXPECT_EQ(after.row[Counter::flows_expired], 3u);
}

TEST(ForwarderHandOver, a_flow_has_there_all_that_it_had) {
  Peer back_end;
  Forwarder::Options options{.balance = Forwarder::Balance::round_robin};
  Relay before({&back_end}, options), after({&back_end}, options);
  for (uint8_t family : {4, 6}) {
    Address client;
    client.family = family;
    client.bytes[0] = 10;
    client.port = 1;
    before.arrive(client, "x");
  }
  Rows rows = rows_of(before);
  ASSERT_EQ(rows.all.size(), 2u);
  for (FlowRow& row : rows.all) {
    EXPECT_EQ(row.target, UINT32_MAX);
    EXPECT_EQ(row.requests, 1u);
    EXPECT_EQ(row.hops, 0u);
    EXPECT_EQ(row.has_asked, 0u);
    row.idle_ns = 77;
    row.requests = 5;
    row.answers = 3;
    row.hops = 9;
    row.grown = 1;
    row.has_asked = row.client.family == 4;
    std::memset(row.asked, 0xa5, sizeof row.asked);
    row.kernel_drops = 4;
  }
  take(after, rows);
  after.forwarder->settle();
  Rows there = rows_of(after);
  ASSERT_EQ(there.all.size(), 2u);
  for (size_t i = 0; i < 2; i++) {
    const FlowRow &had = rows.all[i], &has = there.all[i];
    EXPECT_EQ(has.rule, static_cast<double>(kRule));
    EXPECT_TRUE(has.client == had.client);
    EXPECT_EQ(has.target, had.target);
    EXPECT_EQ(has.idle_ns, 77u);
    EXPECT_EQ(has.requests, 5u);
    EXPECT_EQ(has.answers, 3u);
    EXPECT_EQ(has.hops, 9u);
    EXPECT_EQ(has.grown, 1u);
    EXPECT_EQ(has.has_asked, had.has_asked);
    bool asked_alike = std::memcmp(has.asked, had.asked, sizeof had.asked) == 0;
    EXPECT_TRUE(!had.has_asked || asked_alike);
    EXPECT_EQ(has.kernel_drops, 4u);
    Fd(has.fd);
  }
  EXPECT_EQ(there.all[0].has_asked + there.all[1].has_asked, 1);
}

TEST(ForwarderHandOver, where_a_client_has_asked_stays_until_another_place_is_said) {
  Peer back_end, client;
  Relay before({&back_end}), after({&back_end});
  before.arrive(client.address(), "x");
  FlowRow row = rows_of(before).all[0];
  row.has_asked = 1;
  std::memset(row.asked, 0xa5, sizeof row.asked);
  after.forwarder->take(row, Fd(row.fd), after.now);
  row.has_asked = 0;
  row.requests = 6;
  std::memset(row.asked, 0, sizeof row.asked);
  after.forwarder->take(row, Fd(), after.now);
  FlowRow has = rows_of(after).all[0];
  Fd(has.fd);
  EXPECT_EQ(has.requests, 6u);
  EXPECT_EQ(has.has_asked, 1u);
  EXPECT_EQ(has.asked[0], 0xa5);
}

TEST(ForwarderHandOver, one_without_room_makes_room_or_takes_no_more) {
  Peer back_end;
  std::vector<Peer> clients(3);
  Relay before({&back_end}), after({&back_end}, {.flows_max = 2});
  for (const Peer& client : clients) before.arrive(client.address(), "x");
  Rows rows = rows_of(before);
  take(after, rows);
  EXPECT_EQ(after.forwarder->open(), 2u);
  EXPECT_EQ(after.row[Counter::flows_evicted], 1u);
  Relay full({&back_end}, {.flows_max = 2});
  for (FlowRow& row : rows_of(before).all) {
    row.requests = row.answers = 9;  // of which none is evicted
    full.forwarder->take(row, Fd(row.fd), full.now);
  }
  EXPECT_EQ(full.forwarder->open(), 2u);
  EXPECT_EQ(full.row[Counter::flows_evicted], 0u);
}

TEST(ForwarderHandOver, what_is_no_flow_of_this_rule_is_closed) {
  Peer back_end, other, client;
  Relay before({&back_end}), after({&other});
  before.arrive(client.address(), "1");
  hand_over(before, after);  // to another target
  EXPECT_EQ(after.forwarder->open(), 0u);
  Rows rows = rows_of(before);
  ASSERT_EQ(rows.all.size(), 1u);
  Relay same({&back_end});
  FlowRow odd = rows.all[0];
  odd.target = 7;
  same.forwarder->take(odd, Fd(fcntl(rows.all[0].fd, F_DUPFD_CLOEXEC, 3)), same.now);
  odd = rows.all[0];
  odd.client.family = 1;
  same.forwarder->take(odd, Fd(fcntl(rows.all[0].fd, F_DUPFD_CLOEXEC, 3)), same.now);
  same.forwarder->take(rows.all[0], Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)), same.now);
  same.forwarder->take(rows.all[0], Fd(), same.now);
  EXPECT_EQ(same.forwarder->open(), 0u);
  take(same, rows);
  EXPECT_EQ(same.forwarder->open(), 1u);
}

TEST(ForwarderHandOver, a_rule_is_another_with_another_name_or_target) {
  Peer one, two;
  auto options = [](std::vector<const Peer*> peers, Forwarder::Balance balance) {
    Forwarder::Options out;
    for (const Peer* peer : peers) out.targets.push_back(peer->address());
    out.balance = balance;
    return out;
  };
  using Balance = Forwarder::Balance;
  std::set<uint64_t> all = {
      Forwarder::rule_of("a", options({&one}, Balance::source)),
      Forwarder::rule_of("b", options({&one}, Balance::source)),
      Forwarder::rule_of("", options({&one}, Balance::source)),
      Forwarder::rule_of("a", options({&two}, Balance::source)),
      Forwarder::rule_of("a", options({&one, &two}, Balance::source)),
      Forwarder::rule_of("a", options({&two, &one}, Balance::source)),
      Forwarder::rule_of("a", options({&one}, Balance::all)),
  };
  EXPECT_EQ(all.size(), 7u);
  for (uint64_t rule : all) EXPECT_EQ(static_cast<uint64_t>(static_cast<double>(rule)), rule);
  Forwarder::Options later = options({&one}, Balance::source);
  later.idle_ns = kSecond;
  EXPECT_TRUE(all.contains(Forwarder::rule_of("a", later)));  // it may be idle for another time there
}

}  // namespace
}  // namespace ksocket
