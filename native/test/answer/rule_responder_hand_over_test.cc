// What a server with rules has counted, and its forwarders' flows, as another process gets them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/answer/rule_responder.h"
#include "support/conversation.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

// A rule that forwards what begins with its name, for each of these names, and counts all else.
struct Server : test::Conversation<RuleResponder> {
  using Names = std::vector<std::string>;

  using Watched = std::map<uint32_t, int>;

  explicit Server(const Names& names, std::shared_ptr<Watched> of_flows = std::make_shared<Watched>())
      : Conversation(7, Address{.port = 2325, .family = 4},
                     Forwarder::Host{[of_flows](int fd, uint32_t key) { return (*of_flows)[key] = fd, 0; },
                                     [of_flows](int fd) {
                                       std::erase_if(*of_flows, [&](auto& one) { return one.second == fd; });
                                     }},
                     false),
        watched(*of_flows) {
    update(names);
  }

  void update(Names names) {
    rules::RuleSpec spec{{}, rules::Action::drop, static_cast<uint32_t>(names.size())};
    std::vector<Forwarder::Options> forwards;
    for (const std::string& name : names) {
      rules::Rule& rule = spec.rules.emplace_back();
      rule.match.kind = rules::Match::Payload::prefix;
      rule.match.payload.assign(name.begin(), name.end());
      rule.action = rules::Action::forward;
      rule.forward = static_cast<uint32_t>(forwards.size());
      forwards.push_back({.targets = {target}, .flows_max = 8});
    }
    spec.rules.emplace_back().action = rules::Action::count;
    names.push_back("rest");
    responder.update(std::move(spec), std::move(names), std::move(forwards));
  }

  // As of so many clients, each with a flow of the rule.
  void ask(const std::string& name, uint16_t clients, uint16_t first = 1000) {
    for (uint16_t i = 0; i < clients; i++) hear(static_cast<uint16_t>(first + i), name);
    answers();
  }

  static inline const Address target = test::address_of("127.0.0.1", 9);
  Watched& watched;  // the responder, which unwatches, ends last
};

struct Batches {
  std::vector<FlowRow> rows;
  std::vector<size_t> sizes;
};

Batches batches_of(Server& from, size_t max, const KnownFlows& known = {}) {
  Batches out;
  for (int64_t next = 0; next != RuleResponder::kNoMoreFlows && out.sizes.size() < 100;) {
    RuleResponder::Flows flows = from.responder.flows(next, max, known);
    EXPECT_GE(flows.next, 0);
    EXPECT_TRUE(flows.next == RuleResponder::kNoMoreFlows || flows.next > next);
    out.rows.insert(out.rows.end(), flows.rows.begin(), flows.rows.end());
    out.sizes.push_back(flows.rows.size());
    next = flows.next;
  }
  return out;
}

std::vector<int32_t> fds_of(const std::vector<FlowRow>& rows) {
  std::vector<int32_t> out;
  for (const FlowRow& row : rows) out.push_back(row.fd);
  return out;
}

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

uint64_t opened(Server& server) {
  return server.counters[Counter::flows_opened];
}

TEST(RuleResponderHandOver, flows_of_all_rules_come_a_batch_at_a_time) {
  Server from({"a", "b", "c"}), to({"a", "b", "c"});
  from.ask("a", 3);
  from.ask("c", 5);
  Batches all = batches_of(from, 2);
  EXPECT_EQ(all.rows.size(), 8u);
  for (size_t size : all.sizes) EXPECT_LE(size, 2u);
  std::set<std::pair<double, uint16_t>> different;
  for (const FlowRow& row : all.rows) different.insert({row.rule, row.client.port});
  EXPECT_EQ(different.size(), 8u);
  std::vector<int32_t> fds = fds_of(all.rows);
  to.responder.take_flows(all.rows, fds, true);
  EXPECT_EQ(opened(to), 8u);
  EXPECT_TRUE(to.watched.empty());
  to.responder.begin_flows();
  EXPECT_EQ(to.watched.size(), 8u);
  to.ask("a", 3);
  to.ask("c", 5);
  EXPECT_EQ(opened(to), 8u) << "each client has its flow";
  to.ask("b", 1);
  EXPECT_EQ(opened(to), 9u);
}

TEST(RuleResponderHandOver, one_batch_where_there_is_room_for_all) {
  Server from({"a", "b"});
  from.ask("a", 8);
  from.ask("b", 8);
  Batches all = batches_of(from, 100);
  EXPECT_EQ(all.sizes, std::vector<size_t>{16});
  for (const FlowRow& row : all.rows) Fd(row.fd);
  Batches exact = batches_of(from, 16);
  EXPECT_EQ(exact.rows.size(), 16u);
  for (const FlowRow& row : exact.rows) Fd(row.fd);
  Server none({"a"});
  EXPECT_EQ(none.responder.flows(0, 10, {}).next, RuleResponder::kNoMoreFlows);
}

TEST(RuleResponderHandOver, known_flows_come_without_a_descriptor) {
  Server from({"a", "b"});
  from.ask("a", 2);
  from.ask("b", 2);
  Batches first = batches_of(from, 100);
  KnownFlows known;
  for (const FlowRow& row : first.rows) {
    EXPECT_GE(row.fd, 0);
    Fd(row.fd);
    if (row.client.port == 1000) known.insert({whole(row.rule), whole(row.serial)});
  }
  EXPECT_EQ(known.size(), 2u);
  for (const FlowRow& row : batches_of(from, 100, known).rows) {
    EXPECT_EQ(row.fd < 0, row.client.port == 1000);
    Fd(row.fd);
  }
}

TEST(RuleResponderHandOver, what_is_of_no_rule_is_closed) {
  Server from({"a", "b"}), to({"b"});
  from.ask("a", 1);
  from.ask("b", 1);
  Batches all = batches_of(from, 100);
  std::vector<int32_t> fds = fds_of(all.rows);
  to.responder.take_flows(all.rows, fds, true);
  EXPECT_EQ(opened(to), 1u);
  EXPECT_EQ(is_open(fds[0]) + is_open(fds[1]), 1);
}

TEST(RuleResponderHandOver, only_a_list_of_all_ends_what_is_not_in_it) {
  Server from({"a"}), to({"a"});
  from.ask("a", 3);
  Batches all = batches_of(from, 100);
  std::vector<int32_t> fds = fds_of(all.rows), none(1, -1);
  to.responder.take_flows(all.rows, fds, false);
  std::vector<FlowRow> one = {all.rows[1]};
  to.responder.take_flows(one, none, false);
  EXPECT_EQ(is_open(fds[0]) + is_open(fds[1]) + is_open(fds[2]), 3);
  to.responder.take_flows(one, none, true);
  EXPECT_EQ(is_open(fds[0]) + is_open(fds[1]) + is_open(fds[2]), 1);
  EXPECT_TRUE(is_open(fds[1]));
  to.responder.begin_flows();
  EXPECT_EQ(to.watched.size(), 1u);
}

TEST(RuleResponderHandOver, a_list_of_all_is_alone_what_counts) {
  Server from({"a"}), to({"a"});
  from.ask("a", 3);
  Batches all = batches_of(from, 100);
  std::vector<int32_t> fds = fds_of(all.rows), none(1, -1);
  to.responder.take_flows(all.rows, fds, false);
  to.responder.take_flows({&all.rows[2], 1}, none, true);
  EXPECT_EQ(is_open(fds[0]) + is_open(fds[1]), 0);
  EXPECT_TRUE(is_open(fds[2]));
}

TEST(RuleResponderHandOver, rows_without_descriptors_and_numbers_that_are_none_do_no_harm) {
  Server from({"a"}), to({"a"});
  from.ask("a", 1);
  FlowRow row = batches_of(from, 100).rows[0];
  to.responder.take_flows({&row, 1}, {}, true);  // fewer descriptors than rows
  EXPECT_EQ(opened(to), 0u);
  for (double odd : {0.0, -1.0, std::nan(""), 1e300, std::numeric_limits<double>::infinity()}) {
    FlowRow forged = row;
    forged.serial = odd;
    int32_t fd = fcntl(row.fd, F_DUPFD_CLOEXEC, 3);
    to.responder.take_flows({&forged, 1}, {&fd, 1}, true);
    EXPECT_FALSE(is_open(fd));
    forged = row;
    forged.rule = odd;
    fd = fcntl(row.fd, F_DUPFD_CLOEXEC, 3);
    to.responder.take_flows({&forged, 1}, {&fd, 1}, true);
    EXPECT_FALSE(is_open(fd));
  }
  EXPECT_EQ(opened(to), 0u);
  Fd(row.fd);
}

TEST(RuleResponderHandOver, rules_that_are_not_in_force_yet_have_their_flows) {
  Server from({"a"});
  from.ask("a", 2);
  from.update({"b"});  // those of a are to end
  EXPECT_TRUE(batches_of(from, 100).rows.empty());
}

TEST(RuleResponderHandOver, without_descriptors_nothing_is_said) {
  Server from({"a"});
  from.ask("a", 5);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  Fd lowest(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  // Two more than there are, as the lowest numbers that are free are used.
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(lowest.get()) + 2;
  lowest.reset();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  RuleResponder::Flows flows = from.responder.flows(0, 100, {});
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(flows.next, -EMFILE);
  EXPECT_TRUE(flows.rows.empty());
  Fd again(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  EXPECT_EQ(again.get() + 2, static_cast<int>(few.rlim_cur)) << "the copies are closed";
}

TEST(RuleResponderHandOver, counts_go_on) {
  Server from({"a"}), to({"a"});
  from.ask("a", 2);
  from.ask("x", 3);
  EXPECT_EQ(from.responder.tallies(), (std::vector<double>{2, 0, 3, 0}));
  to.responder.set_tallies(std::vector<double>{2, 7, 3, 5});
  EXPECT_EQ(to.responder.tallies(), (std::vector<double>{2, 7, 3, 5}));
  to.ask("x", 1);
  EXPECT_EQ(to.responder.hits(), (std::vector<uint64_t>{2, 4}));
  to.responder.set_tallies(std::vector<double>{9});  // not even one rule's
  to.responder.set_tallies(std::vector<double>{8, 8, 8});
  EXPECT_EQ(to.responder.tallies(), (std::vector<double>{8, 8, 4, 5}));
  to.responder.set_tallies(std::vector<double>{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(to.responder.tallies(), (std::vector<double>{1, 2, 3, 4}));
  to.responder.set_tallies(std::vector<double>{-1, std::nan(""), 1e300, 1});
  EXPECT_EQ(to.responder.tallies(), (std::vector<double>{0, 0, 0, 1}));
}

}  // namespace
}  // namespace ksocket
