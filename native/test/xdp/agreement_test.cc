// Random rules and random frames: the kernel does what the rules literally say, and what the thread does.
// KSOCKET_XDP_PAIRS says how many.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "support/rules_random.h"
#include "support/xdp_agreement.h"
#include "support/xdp_kernel.h"
#include "support/xdp_machine.h"

namespace ksocket::xdp {
namespace {

using rules::Action;

uint64_t wanted_pairs() {
  const char* given = std::getenv("KSOCKET_XDP_PAIRS");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20'000;
}

uint32_t seed() {
  const char* given = std::getenv("KSOCKET_XDP_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : 16;
}

// Loading a set takes as long as hundreds of frames.
void agrees(test::MakeRunner make, uint64_t wanted) {
  test::Random random(seed());
  test::XdpPairs pairs;
  int frames = static_cast<int>(std::clamp<uint64_t>(wanted / 200, 100, 1000));
  for (int set = 0; pairs.all() < wanted; set++) {
    rules::RuleSpec spec = test::random_spec(random, random.one_in(10) ? 60 : 8);
    ASSERT_EQ(test::xdp_disagreement(spec, make, random, frames, &pairs), "") << "set " << set;
  }
  // All of it has happened.
  EXPECT_GT(pairs.passed, wanted / 20);
  EXPECT_GT(pairs.flawed, wanted / 20);
  EXPECT_GT(pairs.dropped, wanted / 20);
  EXPECT_GT(pairs.answered, wanted / 20);
  EXPECT_GT(pairs.refused, wanted / 1000);
}

TEST(XdpAgreement, the_kernel_does_what_the_rules_say_and_the_thread_does) {
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why;
  agrees(test::make_runner<test::XdpKernel>, wanted_pairs());
}

// The same where nobody may load programs.
TEST(XdpAgreement, the_instructions_do_what_the_rules_say_and_the_thread_does) {
  agrees(test::make_runner<test::XdpMachine>, wanted_pairs());
}

// Rules as large as they may be: those that do not fit are left to the thread, and all others do what they
// say.
void enlarge(test::Random& random, rules::Rule* rule) {
  rules::Match& match = rule->match;
  switch (random.below(7)) {
    case 0:
      for (uint32_t i = random.below(4) * 200; i > 0; i--) {
        rules::Cidr network;
        network.family = random.one_in(2) ? 4 : 6;
        network.prefix_bits = static_cast<uint8_t>(network.family == 4 ? 32 : 128);
        for (uint8_t& byte : network.bytes) byte = static_cast<uint8_t>(random());
        if (network.family == 4) std::fill(network.bytes + 4, network.bytes + 16, 0);
        match.sources.push_back(network);
      }
      break;
    case 1:
      for (uint32_t i = random.below(100); i > 0; i--) {
        uint16_t at = static_cast<uint16_t>(random.below(1700));
        match.masks.push_back({at, std::vector<uint8_t>(256, 0x0f), std::vector<uint8_t>(256, 0)});
      }
      break;
    case 2:
      match.kind = random.one_in(2) ? rules::Match::Payload::prefix : rules::Match::Payload::exact;
      match.payload.resize(random.below(1700), 'a');
      break;
    case 3:
      for (uint32_t i = random.below(257); i > 0; i--) {
        rule->reply.parts.push_back({.kind = rules::Part::Kind::request, .begin = -3, .end = 4});
      }
      rule->action = Action::reply;
      break;
    case 4: {
      rules::Part literal;
      literal.begin = static_cast<int32_t>(rule->reply.literals.size());
      rule->reply.literals.resize(rule->reply.literals.size() + random.below(1700), 'z');
      literal.end = static_cast<int32_t>(rule->reply.literals.size());
      rule->reply.parts.push_back(literal);
      rule->action = Action::reply;
      break;
    }
    case 5:
      for (uint32_t i = random.below(257); i > 0; i--) {
        rule->reply.parts.push_back(
            {.kind = static_cast<rules::Part::Kind>(2 + random.below(4)), .xor_at = 1500});
      }
      rule->action = Action::reply;
      break;
    case 6:
      match = {};
      rule->action = Action::count;
      break;
  }
}

void agrees_on_large_rules(test::MakeRunner make) {
  test::Random random(seed() + 1);
  test::XdpPairs pairs;
  uint64_t wanted = wanted_pairs() / 10;
  for (int set = 0; pairs.all() < wanted; set++) {
    rules::RuleSpec spec = test::random_spec(random, random.one_in(5) ? 300 : 10);
    for (rules::Rule& rule : spec.rules) {
      if (rule.action != Action::forward && random.one_in(2)) enlarge(random, &rule);
      rule.amplify = rule.amplify || random.one_in(2);
    }
    ASSERT_EQ(test::xdp_disagreement(spec, make, random, 100, &pairs), "") << "set " << set;
  }
  EXPECT_GT(pairs.answered, wanted / 100);
}

TEST(XdpAgreement, rules_that_are_too_large_are_left_to_the_thread) {
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why;
  agrees_on_large_rules(test::make_runner<test::XdpKernel>);
}

TEST(XdpAgreement, instructions_of_rules_that_are_too_large_leave_them_to_the_thread) {
  agrees_on_large_rules(test::make_runner<test::XdpMachine>);
}

}  // namespace
}  // namespace ksocket::xdp
