#include "core/answer/rule_responder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/conversation.h"

namespace ksocket {
namespace {

using rules::Action;
using test::Lines;

rules::Rule rule(const std::string& prefix, Action action, const std::string& reply = "") {
  rules::Rule out;
  out.match.kind = prefix.empty() ? rules::Match::Payload::any : rules::Match::Payload::prefix;
  out.match.payload.assign(prefix.begin(), prefix.end());
  out.action = action;
  out.amplify = true;
  if (action == Action::reply) {
    out.reply.literals.assign(reply.begin(), reply.end());
    rules::Part part;
    part.end = static_cast<int32_t>(reply.size());
    out.reply.parts.push_back(part);
  }
  return out;
}

// A server with rules.
struct Talk : test::Conversation<RuleResponder> {
  explicit Talk(std::vector<rules::Rule> first, Action otherwise = Action::drop, bool offloads = false)
      : Conversation(7, Address{.port = 2325, .family = 4},
                     Forwarder::Host{[](int, uint32_t) { return 0; }, [](int) {}}, offloads) {
    update(std::move(first), otherwise);
  }

  void update(std::vector<rules::Rule> next, Action otherwise = Action::drop) {
    std::vector<std::string> names;
    for (size_t i = 0; i < next.size(); i++) names.push_back("rule " + std::to_string(i));
    responder.update({std::move(next), otherwise, 0}, std::move(names), {});
  }
};

TEST(RuleResponder, does_what_the_first_match_says) {
  Talk talk({rule("a", Action::echo), rule("b", Action::reply, "bee"), rule("c", Action::drop),
             rule("d", Action::count), rule("d", Action::deliver), rule("", Action::reply, "?")});
  EXPECT_EQ(talk.hear(1, "a1").hear(2, "b1").hear(3, "c1").hear(4, "d1").hear(5, "e1").answers(),
            (Lines{"1: a1", "2: bee", "5: ?"}));
  EXPECT_EQ(talk.delivered, Lines{"d1"});
  EXPECT_EQ(talk.responder.hits(), (std::vector<uint64_t>{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(talk.counters[Counter::replies], 3u);
  EXPECT_EQ(talk.counters[Counter::rule_drops], 1u);
}

TEST(RuleResponder, delivers_of_each_batch_its_own_datagrams) {
  Talk talk({rule("d", Action::deliver)});
  for (const char* data : {"d1", "d2", "d3"}) {
    talk.hear(1, data).hear(1, "x").answers();
    EXPECT_EQ(talk.delivered, Lines{data});
  }
  talk.hear(1, "x").answers();
  EXPECT_EQ(talk.delivered, Lines{});
}

TEST(RuleResponder, keeps_together_of_a_super_datagram_what_fares_alike) {
  Talk talk({rule("e", Action::echo), rule("j", Action::deliver), rule("r", Action::reply, "=")},
            Action::drop, true);
  EXPECT_EQ(talk.hear(1, "e1e2e3j1j2d1d2e4j3r1e", 2).answers(), (Lines{"1/2: e1e2e3e4", "1/1: =e"}));
  EXPECT_EQ(talk.delivered, (Lines{"j1j2/2", "j3"}));
  EXPECT_EQ(talk.counters[Counter::rule_drops], 2u);
  EXPECT_EQ(talk.responder.hits(), (std::vector<uint64_t>{5, 3, 1}));
}

TEST(RuleResponder, answers_in_the_order_of_the_requests) {
  Talk talk({rule("e", Action::echo), rule("r", Action::reply, "reply")});
  Lines expected;
  for (int i = 0; i < 20; i++) {
    std::string echoed = "e" + std::to_string(i);
    talk.hear(1, echoed).hear(1, "r");
    expected.insert(expected.end(), {"1: " + echoed, "1: reply"});
  }
  EXPECT_EQ(talk.answers(), expected);
  // Echoes that the memory for replies has no room for leave by themselves.
  expected.clear();
  for (int i = 0; i < 60; i++) {
    std::string echoed = std::string(60'000, 'e') + std::to_string(i);
    talk.hear(1, "r").hear(1, echoed);
    expected.insert(expected.end(), {"1: reply", "1: " + echoed});
  }
  EXPECT_EQ(talk.answers(), expected);
}

TEST(RuleResponder, goes_on_counting_where_a_name_stays) {
  Talk talk({rule("a", Action::drop), rule("b", Action::drop)});
  talk.hear(1, "a").hear(1, "b").hear(1, "b").answers();
  talk.update({rule("a", Action::echo)});
  EXPECT_EQ(talk.responder.hits(), std::vector<uint64_t>{1});
  talk.hear(1, "a").hear(1, "b").answers();
  EXPECT_EQ(talk.responder.hits(), std::vector<uint64_t>{2});
  talk.update({rule("a", Action::echo), rule("b", Action::drop)});
  EXPECT_EQ(talk.responder.hits(), (std::vector<uint64_t>{2, 0}));
}

TEST(RuleResponder, answers_more_than_its_scratch_memory_holds) {
  Talk talk({rule("", Action::reply, std::string(60000, 'x'))});
  for (int i = 0; i < 64; i++) talk.hear(1, "?");
  auto answers = talk.answers();
  ASSERT_EQ(answers.size(), 64u);
  for (const auto& answer : answers) EXPECT_EQ(answer, "1: " + std::string(60000, 'x'));
}

// Two threads: one answers, the other swaps the rules. Each batch is answered by one set.
TEST(RuleResponder, swaps_its_rules_between_two_batches) {
  Talk talk({rule("a", Action::reply, "0"), rule("b", Action::reply, "0")});
  constexpr int kUpdates = 1000;
  std::atomic<bool> done{false};
  std::thread javascript([&] {
    for (int i = 1; i <= kUpdates; i++) {
      std::string text = std::to_string(i);
      talk.update({rule("a", Action::reply, text), rule("b", Action::reply, text)});
    }
    done = true;
  });
  int latest = 0;
  bool last = false;
  while (!last) {
    last = done;
    for (int i = 0; i < 10; i++) talk.hear(1, i % 2 == 0 ? "a" : "b");
    auto answers = talk.answers();
    ASSERT_EQ(answers.size(), 10u);
    for (const auto& answer : answers) ASSERT_EQ(answer, answers[0]);
    int set = std::stoi(answers[0].substr(std::string("1: ").size()));
    ASSERT_GE(set, latest);
    latest = set;
  }
  EXPECT_EQ(latest, kUpdates);
  javascript.join();
}

}  // namespace
}  // namespace ksocket
