#include "core/answer/rule_responder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/fake_engine.h"
#include "support/ring_memory.h"

namespace ksocket {
namespace {

using rules::Action;
using test::address_of;
using Lines = std::vector<std::string>;

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

// A server with rules on the fake engine.
class Conversation {
 public:
  explicit Conversation(std::vector<rules::Rule> first, Action otherwise = Action::drop,
                        bool offloads = false)
      : responder(7, 4, 2325, {[](int, uint32_t) { return 0; }, [](int) {}}, offloads, counters) {
    update(std::move(first), otherwise);
  }

  void update(std::vector<rules::Rule> next, Action otherwise = Action::drop) {
    std::vector<std::string> names;
    for (size_t i = 0; i < next.size(); i++) names.push_back("rule " + std::to_string(i));
    responder.update({std::move(next), otherwise, 0}, std::move(names), {});
  }
  Conversation& hear(const std::string& data, uint16_t segment_size = 0) {
    incoming_.push_back({static_cast<uint32_t>(payloads_.size()), static_cast<uint32_t>(data.size()),
                         segment_size, address_of("127.0.0.1", 1000)});
    payloads_.insert(payloads_.end(), data.begin(), data.end());
    return *this;
  }
  Lines answers() {
    delivered.clear();
    for (const Incoming& one : responder.answer({engine, flush, batch}, payloads_.data(), incoming_)) {
      std::string text(payloads_.begin() + one.offset, payloads_.begin() + one.offset + one.length);
      delivered.push_back(one.segment_size != 0 ? text + "/" + std::to_string(one.segment_size) : text);
    }
    incoming_.clear();
    payloads_.clear();
    Lines out;
    for (const auto& message : engine.take_sent()) {
      out.push_back(message.segment_size != 0 ? message.data + "/" + std::to_string(message.segment_size)
                                              : message.data);
    }
    return out;
  }

  test::FakeEngine engine;
  TxFlush flush;
  RxBatch batch;
  test::CounterRow counters;
  RuleResponder responder;
  Lines delivered;

 private:
  std::vector<uint8_t> payloads_;
  std::vector<Incoming> incoming_;
};

TEST(RuleResponder, does_what_the_first_match_says) {
  Conversation talk({rule("a", Action::echo), rule("b", Action::reply, "bee"), rule("c", Action::drop),
                     rule("d", Action::count), rule("d", Action::deliver), rule("", Action::reply, "?")});
  EXPECT_EQ(talk.hear("a1").hear("b1").hear("c1").hear("d1").hear("e1").answers(), (Lines{"a1", "bee", "?"}));
  EXPECT_EQ(talk.delivered, Lines{"d1"});
  EXPECT_EQ(talk.responder.hits(), (std::vector<uint64_t>{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(talk.counters[Counter::replies], 3u);
  EXPECT_EQ(talk.counters[Counter::rule_drops], 1u);
}

TEST(RuleResponder, keeps_together_of_a_super_datagram_what_fares_alike) {
  Conversation talk({rule("e", Action::echo), rule("j", Action::deliver), rule("r", Action::reply, "=")},
                    Action::drop, true);
  EXPECT_EQ(talk.hear("e1e2e3j1j2d1d2e4j3r1e", 2).answers(), (Lines{"e1e2e3/2", "e4", "=e/1"}));
  EXPECT_EQ(talk.delivered, (Lines{"j1j2/2", "j3"}));
  EXPECT_EQ(talk.counters[Counter::rule_drops], 2u);
  EXPECT_EQ(talk.responder.hits(), (std::vector<uint64_t>{5, 3, 1}));
}

TEST(RuleResponder, answers_in_the_order_of_the_requests) {
  Conversation talk({rule("e", Action::echo), rule("r", Action::reply, "reply")});
  Lines expected;
  for (int i = 0; i < 20; i++) {
    std::string echoed = "e" + std::to_string(i);
    talk.hear(echoed).hear("r");
    expected.insert(expected.end(), {echoed, "reply"});
  }
  EXPECT_EQ(talk.answers(), expected);
  // Echoes that the memory for replies has no room for leave by themselves.
  expected.clear();
  for (int i = 0; i < 60; i++) {
    std::string echoed = std::string(60'000, 'e') + std::to_string(i);
    talk.hear("r").hear(echoed);
    expected.insert(expected.end(), {"reply", echoed});
  }
  EXPECT_EQ(talk.answers(), expected);
}

TEST(RuleResponder, goes_on_counting_where_a_name_stays) {
  Conversation talk({rule("a", Action::drop), rule("b", Action::drop)});
  talk.hear("a").hear("b").hear("b").answers();
  talk.update({rule("a", Action::echo)});
  EXPECT_EQ(talk.responder.hits(), std::vector<uint64_t>{1});
  talk.hear("a").hear("b").answers();
  EXPECT_EQ(talk.responder.hits(), std::vector<uint64_t>{2});
  talk.update({rule("a", Action::echo), rule("b", Action::drop)});
  EXPECT_EQ(talk.responder.hits(), (std::vector<uint64_t>{2, 0}));
}

TEST(RuleResponder, answers_more_than_its_scratch_memory_holds) {
  Conversation talk({rule("", Action::reply, std::string(60000, 'x'))});
  for (int i = 0; i < 64; i++) talk.hear("?");
  auto answers = talk.answers();
  ASSERT_EQ(answers.size(), 64u);
  for (const auto& answer : answers) EXPECT_EQ(answer, std::string(60000, 'x'));
}

// Two threads: one answers, the other swaps the rules. Each batch is answered by one set.
TEST(RuleResponder, swaps_its_rules_between_two_batches) {
  Conversation talk({rule("a", Action::reply, "0"), rule("b", Action::reply, "0")});
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
    for (int i = 0; i < 10; i++) talk.hear(i % 2 == 0 ? "a" : "b");
    auto answers = talk.answers();
    ASSERT_EQ(answers.size(), 10u);
    for (const auto& answer : answers) ASSERT_EQ(answer, answers[0]);
    ASSERT_GE(std::stoi(answers[0]), latest);
    latest = std::stoi(answers[0]);
  }
  EXPECT_EQ(latest, kUpdates);
  javascript.join();
}

}  // namespace
}  // namespace ksocket
