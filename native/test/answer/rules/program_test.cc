#include "core/answer/rules/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>

#include "support/fake_engine.h"
#include "support/rules_encoder.h"
#include "support/rules_interpreter.h"
#include "support/rules_random.h"

namespace ksocket::rules {
namespace {

using test::address_of;
using Indices = std::vector<uint32_t>;

std::vector<uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}
Rule exact(const std::string& text, Action action = Action::echo) {
  Rule out;
  out.match.kind = Match::Payload::exact;
  out.match.payload = bytes_of(text);
  out.action = action;
  return out;
}
Rule prefix(const std::string& text, Action action = Action::echo) {
  Rule out = exact(text, action);
  out.match.kind = Match::Payload::prefix;
  return out;
}
Rule any(Action action = Action::echo) {
  Rule out;
  out.action = action;
  return out;
}
RuleSpec spec_of(std::vector<Rule> rules) {
  RuleSpec out;
  out.rules = std::move(rules);
  return out;
}

test::Datagram datagram(const std::string& payload, const char* source = "127.0.0.1", uint16_t to_port = 1) {
  return {bytes_of(payload), address_of(source, 40000), to_port, 0};
}
uint32_t match(const Program& program, const test::Datagram& datagram) {
  return program.match(datagram.request(), nullptr);
}
constexpr uint32_t kNoRule = Program::kNoRule;

TEST(RulesProgram, without_rules_leaves_everything_to_the_default) {
  RuleSpec spec;
  spec.otherwise = Action::deliver;
  Program program(spec);
  Indices counted{7};
  EXPECT_EQ(program.match(datagram("").request(), &counted), kNoRule);
  EXPECT_EQ(program.match(datagram("x").request(), &counted), kNoRule);
  EXPECT_TRUE(counted.empty());
  EXPECT_EQ(program.otherwise(), Action::deliver);
}

TEST(RulesProgram, tells_exact_from_prefix) {
  Program program(spec_of({exact("ping"), prefix("pi"), prefix("pinging"), exact("")}));
  EXPECT_EQ(match(program, datagram("ping")), 0u);
  EXPECT_EQ(match(program, datagram("pin")), 1u);
  EXPECT_EQ(match(program, datagram("pi")), 1u);
  EXPECT_EQ(match(program, datagram("pinging!")), 1u);  // the longer one comes later
  EXPECT_EQ(match(program, datagram("p")), kNoRule);
  EXPECT_EQ(match(program, datagram("qi")), kNoRule);
  EXPECT_EQ(match(program, datagram("")), 3u);
}

TEST(RulesProgram, the_first_that_matches_wins_whichever_way_it_is_found) {
  Program program(spec_of({prefix("abc"), any(), prefix("ab")}));
  EXPECT_EQ(match(program, datagram("abcd")), 0u);
  EXPECT_EQ(match(program, datagram("ab")), 1u);
  EXPECT_EQ(match(Program(spec_of({prefix(""), prefix("a")})), datagram("a")), 0u);
  EXPECT_EQ(match(Program(spec_of({prefix("a"), prefix("")})), datagram("a")), 0u);
  EXPECT_EQ(match(Program(spec_of({prefix("a"), exact("a"), prefix("a")})), datagram("a")), 0u);
}

TEST(RulesProgram, goes_on_when_another_condition_does_not_hold) {
  Rule long_one = prefix("a");
  long_one.match.length_min = 3;
  Rule never = exact("a");
  never.match.length_min = 2;
  Program program(spec_of({long_one, never, prefix("a"), any()}));
  EXPECT_EQ(match(program, datagram("aaa")), 0u);
  EXPECT_EQ(match(program, datagram("a")), 2u);
  EXPECT_EQ(match(program, datagram("b")), 3u);
}

TEST(RulesProgram, counts_what_it_passes_and_nothing_behind_the_winner) {
  Program program(spec_of({any(Action::count), prefix("ab", Action::count), prefix("x", Action::count),
                           prefix("a"), prefix("abc", Action::count), any(Action::count)}));
  EXPECT_EQ(program.counters(), 5u);
  Indices counted;
  counted.reserve(program.counters());
  const uint32_t* memory = counted.data();
  EXPECT_EQ(program.match(datagram("abcd").request(), &counted), 3u);
  std::ranges::sort(counted);
  EXPECT_EQ(counted, (Indices{0, 1}));
  EXPECT_EQ(program.match(datagram("b").request(), &counted), kNoRule);
  std::ranges::sort(counted);
  EXPECT_EQ(counted, (Indices{0, 5}));
  EXPECT_EQ(counted.data(), memory);
}

TEST(RulesProgram, a_mask_compares_the_bits_it_has) {
  Rule rule = any();
  rule.match.masks = {{.at = 1, .mask = {0x0f}, .value = {0x01}}, {.at = 2, .mask = {0xff}, .value = {'z'}}};
  Program program(spec_of({rule}));
  EXPECT_EQ(match(program, datagram("xaz")), 0u);  // 'a' is 0x61
  EXPECT_EQ(match(program, datagram("xqz")), 0u);  // 'q' is 0x71
  EXPECT_EQ(match(program, datagram("xbz")), kNoRule);
  EXPECT_EQ(match(program, datagram("xay")), kNoRule);
  EXPECT_EQ(match(program, datagram("xa")), kNoRule);  // too short
  EXPECT_EQ(match(program, datagram("")), kNoRule);
}

TEST(RulesProgram, a_source_is_in_one_of_the_networks) {
  Rule rule = any();
  rule.match.sources = {{.family = 4, .prefix_bits = 9, .bytes = {10, 0x80}},
                        {.family = 6, .prefix_bits = 32, .bytes = {0x20, 0x01, 0x0d, 0xb8}}};
  Program program(spec_of({rule}));
  EXPECT_EQ(match(program, datagram("", "10.128.0.0")), 0u);
  EXPECT_EQ(match(program, datagram("", "10.255.255.255")), 0u);
  EXPECT_EQ(match(program, datagram("", "10.127.0.0")), kNoRule);
  EXPECT_EQ(match(program, datagram("", "11.128.0.0")), kNoRule);
  EXPECT_EQ(match(program, datagram("", "::ffff:10.128.0.1")), 0u);  // IPv4 through an IPv6 socket
  EXPECT_EQ(match(program, datagram("", "2001:db8:1::1")), 0u);
  EXPECT_EQ(match(program, datagram("", "2001:db9::1")), kNoRule);
  test::Datagram unknown = datagram("");
  unknown.source = {};
  EXPECT_EQ(match(program, unknown), kNoRule);
}

TEST(RulesProgram, every_ipv6_address_is_not_every_ipv4_address) {
  Rule v6 = any(), v4 = any();
  v6.match.sources = {{.family = 6}};
  v4.match.sources = {{.family = 4}};
  Program program(spec_of({v6, v4}));
  EXPECT_EQ(match(program, datagram("", "::1")), 0u);
  EXPECT_EQ(match(program, datagram("", "127.0.0.1")), 1u);
  EXPECT_EQ(match(program, datagram("", "::ffff:127.0.0.1")), 1u);
}

TEST(RulesProgram, a_destination_port_is_one_of_the_list) {
  Rule rule = any();
  rule.match.destination_ports = {53, 5353};
  Program program(spec_of({rule}));
  EXPECT_EQ(match(program, datagram("", "::1", 5353)), 0u);
  EXPECT_EQ(match(program, datagram("", "::1", 54)), kNoRule);
}

TEST(RulesProgram, finds_each_of_many_rules) {
  std::vector<Rule> rules;
  for (int i = 0; i < 65536; i++) rules.push_back(exact("key " + std::to_string(i * 7919 % 65536)));
  Program program(spec_of(rules));
  for (int i = 0; i < 65536; i++) {
    ASSERT_EQ(match(program, datagram("key " + std::to_string(i * 7919 % 65536))), static_cast<uint32_t>(i));
  }
  EXPECT_EQ(match(program, datagram("key 65536")), kNoRule);
  EXPECT_EQ(match(program, datagram("key")), kNoRule);
}

// What makes many rules cheap, without a clock: each of them is tried only for datagrams that begin as it
// says.
TEST(RulesProgram, visits_only_the_rules_on_the_way) {
  std::vector<std::vector<uint8_t>> payloads;
  for (int i = 0; i < 1000; i++) payloads.push_back(bytes_of("key " + std::to_string(i)));
  std::vector<PayloadTrie::Key> keys;
  for (uint32_t i = 0; i < payloads.size(); i++) keys.push_back({payloads[i], i});
  PayloadTrie trie(keys);
  auto visited = [&](const std::string& payload, uint32_t limit) {
    Indices out;
    trie.walk(bytes_of(payload), &limit,
              [&](auto rules) { out.insert(out.end(), rules.begin(), rules.end()); });
    return out;
  };
  EXPECT_EQ(visited("key 421", kNoRule), (Indices{4, 42, 421}));
  EXPECT_EQ(visited("key 421 and more", kNoRule), (Indices{4, 42, 421}));
  EXPECT_EQ(visited("key 421", 42), (Indices{4}));
  EXPECT_EQ(visited("key ", kNoRule), Indices{});
  EXPECT_EQ(visited("kez 421", kNoRule), Indices{});
  EXPECT_EQ(visited("", kNoRule), Indices{});
}

// A chain as deep as payloads are long: neither building nor walking recurses.
TEST(RulesProgram, nests_as_deep_as_payloads_go) {
  std::vector<Rule> rules;
  for (int i = 3000; i > 0; i--) rules.push_back(prefix(std::string(i, 'a')));
  rules.push_back(prefix(std::string(65535, 'a')));
  Program program(spec_of(rules));
  EXPECT_EQ(match(program, datagram(std::string(2999, 'a'))), 1u);
  EXPECT_EQ(match(program, datagram("ab")), 2999u);
  EXPECT_EQ(match(program, datagram(std::string(65535, 'a'))), 0u);
}

TEST(RulesProgram, agrees_with_the_interpreter) {
  test::Random random(7);
  uint64_t inputs = test::fuzz_inputs(), done = 0, won = 0, counts = 0;
  Indices counted;
  while (done < inputs) {
    RuleSpec spec = test::random_spec(random, 1 + random.below(40));
    Program program(spec);
    for (int i = 0; i < 20; i++, done++) {
      test::Datagram datagram = test::random_datagram(random, spec);
      test::Verdict wanted = test::interpret(spec, datagram.request());
      uint32_t winner = program.match(datagram.request(), &counted);
      std::ranges::sort(counted);
      ASSERT_EQ(winner, wanted.winner) << "input " << done;
      ASSERT_EQ(counted, wanted.counted) << "input " << done;
      ASSERT_EQ(program.match(datagram.request(), nullptr), winner) << "input " << done;
      won += winner != kNoRule;
      counts += counted.size();
    }
  }
  // The inputs are worth something: many rules win, many count, and some datagrams match none.
  EXPECT_GT(won, inputs / 4);
  EXPECT_LT(won, inputs);
  EXPECT_GT(counts, inputs / 20);
}

TEST(RulesProgram, is_matched_by_several_threads_at_once) {
  test::Random random(3);
  RuleSpec spec = test::random_spec(random, 200);
  const Program program(spec);
  auto work = [&](uint32_t seed) {
    test::Random own(seed);
    for (int i = 0; i < 2000; i++) {
      test::Datagram datagram = test::random_datagram(own, spec);
      EXPECT_EQ(match(program, datagram), test::interpret(spec, datagram.request()).winner);
    }
  };
  std::thread other(work, 1);
  work(2);
  other.join();
}

}  // namespace
}  // namespace ksocket::rules
