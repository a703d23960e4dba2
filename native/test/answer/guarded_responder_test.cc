#include "core/answer/guarded_responder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "core/answer/fixed_responder.h"
#include "support/conversation.h"

namespace ksocket {
namespace {

using test::address_of;
using test::Lines;

// 32 bytes: the range's first and last IPv4 address, mapped.
std::vector<uint8_t> range(const char* first, const char* last) {
  std::vector<uint8_t> out;
  for (const char* end : {first, last}) {
    Address address = address_of(end, 0);
    out.insert(out.end(), 10, 0);
    out.insert(out.end(), 2, 0xff);
    out.insert(out.end(), address.bytes, address.bytes + 4);
  }
  return out;
}

AddressSet set(const char* first, const char* last) {
  return AddressSet::decode(range(first, last)).value();
}

std::unique_ptr<Responder> echo(Counters counters) {
  FixedResponder::Options options;
  options.kind = FixedResponder::Kind::echo;
  return std::make_unique<FixedResponder>(std::move(options), 7, kDatagramBytesMax, false, counters);
}

// The guarded one's own counters, there before it.
struct EchoCounters {
  test::CounterRow echo_counters;
};

// A guarded echo.
struct Gate : EchoCounters, test::Conversation<GuardedResponder> {
  explicit Gate(GuardedResponder::Options options, bool answers = true)
      : Conversation(std::move(options), answers ? echo(echo_counters) : nullptr) {}

  // From port 1.
  Gate& hear(const char* from, const std::string& data, uint16_t segment_size = 0) {
    Conversation::hear(address_of(from, 1), data, segment_size);
    return *this;
  }
};

TEST(GuardedResponder, neither_answers_nor_delivers_what_the_lists_refuse) {
  GuardedResponder::Options options;
  options.deny = set("10.0.0.5", "10.0.0.6");
  options.allow = set("10.0.0.0", "10.0.0.255");
  Gate gate(std::move(options));
  gate.hear("10.0.0.4", "a").hear("10.0.0.5", "b").hear("11.0.0.1", "c").hear("10.0.0.7", "d");
  EXPECT_EQ(gate.answers(), (Lines{"1: a", "1: d"}));
  EXPECT_EQ(gate.delivered, (Lines{"a", "d"}));
  EXPECT_EQ(gate.counters[Counter::denied], 2u);
}

TEST(GuardedResponder, lets_everybody_in_without_lists) {
  Gate gate({});
  EXPECT_EQ(gate.hear("10.0.0.4", "a").hear("1.2.3.4", "").answers(), (Lines{"1: a", "1: "}));
  EXPECT_EQ(gate.delivered, (Lines{"a", ""}));
}

TEST(GuardedResponder, lets_a_source_have_its_rate) {
  GuardedResponder::Options options;
  options.per_source = RateLimit{1, 2};
  Gate gate(std::move(options));
  for (int i = 0; i < 5; i++) gate.hear("10.0.0.1", "one");
  for (int i = 0; i < 2; i++) gate.hear("10.0.0.2", "two");
  EXPECT_EQ(gate.answers().size(), 4u);
  EXPECT_EQ(gate.delivered, (Lines{"one", "one", "two", "two"}));
  EXPECT_EQ(gate.counters[Counter::limited], 3u);
}

TEST(GuardedResponder, has_a_rate_for_all_together) {
  GuardedResponder::Options options;
  options.per_source = RateLimit{1, 2};
  options.total = RateLimit{1, 3};
  Gate gate(std::move(options));
  for (const char* source : {"10.0.0.1", "10.0.0.2", "10.0.0.3"}) gate.hear(source, "x").hear(source, "x");
  EXPECT_EQ(gate.answers().size(), 3u);
  EXPECT_EQ(gate.delivered.size(), 3u);
  EXPECT_EQ(gate.counters[Counter::limited], 0u);
  EXPECT_EQ(gate.counters[Counter::limited_total], 3u);
}

// What its own rate refuses takes nothing of what the others may have.
TEST(GuardedResponder, takes_no_token_of_all_for_what_a_source_may_not) {
  GuardedResponder::Options options;
  options.deny = set("10.0.0.5", "10.0.0.5");
  options.per_source = RateLimit{1, 2};
  options.total = RateLimit{1, 3};
  Gate gate(std::move(options));
  for (int i = 0; i < 5; i++) gate.hear("10.0.0.5", "denied").hear("10.0.0.1", "one");
  gate.hear("10.0.0.2", "two").hear("10.0.0.2", "two");
  gate.answers();
  EXPECT_EQ(gate.delivered, (Lines{"one", "one", "two"}));
  EXPECT_EQ(gate.counters[Counter::denied], 5u);
  EXPECT_EQ(gate.counters[Counter::limited], 3u);
  EXPECT_EQ(gate.counters[Counter::limited_total], 1u);
}

// It comes second, so what the total refuses has cost its source a token.
TEST(GuardedResponder, spends_the_sources_token_on_what_all_together_may_not) {
  GuardedResponder::Options options;
  options.per_source = RateLimit{1, 2};
  options.total = RateLimit{1000, 1};
  Gate gate(std::move(options));
  EXPECT_EQ(gate.hear("10.0.0.1", "first").hear("10.0.0.1", "second").answers(), Lines{"1: first"});
  EXPECT_EQ(gate.counters[Counter::limited_total], 1u);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(gate.hear("10.0.0.1", "third").answers(), Lines{});
  EXPECT_EQ(gate.counters[Counter::limited], 1u);
  EXPECT_EQ(gate.hear("10.0.0.2", "other").answers(), Lines{"1: other"});
}

TEST(GuardedResponder, takes_as_much_of_a_super_datagram_as_there_are_tokens) {
  GuardedResponder::Options options;
  options.per_source = RateLimit{1, 2};
  Gate gate(std::move(options));
  EXPECT_EQ(gate.hear("10.0.0.1", "aabbccd", 2).answers(), (Lines{"1: aa", "1: bb"}));
  EXPECT_EQ(gate.delivered, Lines{"aabb/2"});
  EXPECT_EQ(gate.counters[Counter::limited], 2u);
  EXPECT_EQ(gate.hear("10.0.0.2", "aab", 2).answers(), (Lines{"1: aa", "1: b"}));
  EXPECT_EQ(gate.delivered, Lines{"aab/2"});
  EXPECT_EQ(gate.hear("10.0.0.3", "a").hear("10.0.0.3", "bbc", 2).answers(), (Lines{"1: a", "1: bb"}));
  EXPECT_EQ(gate.delivered, (Lines{"a", "bb"}));
}

TEST(GuardedResponder, has_other_lists_from_the_next_batch_on) {
  GuardedResponder::Options options;
  options.deny = set("10.0.0.5", "10.0.0.5");
  Gate gate(std::move(options));
  auto others = std::make_unique<GuardedResponder::Options>();
  others->deny = set("10.0.0.6", "10.0.0.6");
  others->allow = set("10.0.0.0", "10.0.0.9");
  gate.responder.update(others);
  gate.hear("10.0.0.5", "five").hear("10.0.0.6", "six").hear("11.0.0.1", "eleven");
  EXPECT_EQ(gate.answers(), Lines{"1: five"});
  EXPECT_TRUE(others->deny.contains(address_of("10.0.0.5", 0))) << "what was in force is the caller's";
  auto none = std::make_unique<GuardedResponder::Options>();
  gate.responder.update(none);
  gate.hear("10.0.0.6", "six").hear("11.0.0.1", "eleven");
  EXPECT_EQ(gate.answers(), (Lines{"1: six", "1: eleven"}));
}

TEST(GuardedResponder, keeps_the_tokens_of_rates_that_are_as_they_were) {
  auto rates = [](uint64_t source_burst, uint64_t total_burst, uint32_t sources = 65536) {
    GuardedResponder::Options out;
    out.per_source = RateLimit{1, source_burst};
    out.sources = sources;
    out.total = RateLimit{1, total_burst};
    return out;
  };
  Gate gate(rates(2, 100));
  auto update = [&](GuardedResponder::Options options) {
    auto given = std::make_unique<GuardedResponder::Options>(std::move(options));
    gate.responder.update(given);
  };
  auto heard = [&](const char* from) {
    for (int i = 0; i < 10; i++) gate.hear(from, "x");
    return gate.answers().size();
  };
  EXPECT_EQ(heard("10.0.0.1"), 2u);
  update(rates(2, 3));
  EXPECT_EQ(heard("10.0.0.1"), 0u) << "its source has had its own";
  EXPECT_EQ(heard("10.0.0.2"), 2u);
  EXPECT_EQ(heard("10.0.0.3"), 1u) << "of a total of three";
  update(rates(4, 3));
  EXPECT_EQ(heard("10.0.0.1"), 0u) << "the total is spent";
  update(rates(5, 100));
  EXPECT_EQ(heard("10.0.0.1"), 5u);
  update(rates(5, 100, 1024));
  EXPECT_EQ(heard("10.0.0.1"), 5u) << "another table";
  update({});
  EXPECT_EQ(heard("10.0.0.1"), 10u);
}

TEST(GuardedResponder, protects_javascript_where_nobody_answers) {
  GuardedResponder::Options options;
  options.deny = set("10.0.0.5", "10.0.0.5");
  Gate gate(std::move(options), false);
  EXPECT_EQ(gate.hear("10.0.0.5", "a").hear("10.0.0.6", "b").answers(), Lines{});
  EXPECT_EQ(gate.delivered, Lines{"b"});
}

}  // namespace
}  // namespace ksocket
