#include "core/answer/rules/decode.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "support/rules_encoder.h"
#include "support/rules_random.h"

namespace ksocket::rules {
namespace {

using test::encode;

std::vector<uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

// One rule with everything in it.
RuleSpec full_spec() {
  RuleSpec spec;
  Rule& rule = spec.rules.emplace_back();
  rule.match.kind = Match::Payload::prefix;
  rule.match.payload = bytes_of("ping");
  rule.match.length_min = 4;
  rule.match.length_max = 1000;
  rule.match.masks.push_back({.at = 2, .mask = {0xf0, 0xff}, .value = {0x60, 0x67}});
  rule.match.sources.push_back({.family = 4, .prefix_bits = 9, .bytes = {10, 0x80}});
  rule.match.sources.push_back({.family = 6, .prefix_bits = 128, .bytes = {0, 1, 2, 3, 4, 5, 6, 7, 8}});
  rule.match.destination_ports = {53, 65535};
  rule.action = Action::reply;
  rule.amplify = true;
  rule.reply.literals = bytes_of("pong");
  rule.reply.parts = {
      {.kind = Part::Kind::literal, .begin = 0, .end = 4},
      {.kind = Part::Kind::request, .begin = -3, .end = Part::kToTheEnd},
      {.kind = Part::Kind::source_address, .xor_at = 4},
      {.kind = Part::Kind::source_port},
      {.kind = Part::Kind::time_ntp},
      {.kind = Part::Kind::counter, .counter_bytes = 8},
  };
  return spec;
}

bool refused(const RuleSpec& spec) {
  return !decode_rules(encode(spec)).has_value();
}

TEST(RulesDecode, reads_every_field) {
  std::optional<RuleSpec> spec = decode_rules(encode(full_spec()));
  ASSERT_TRUE(spec.has_value());
  ASSERT_EQ(spec->rules.size(), 1u);
  EXPECT_EQ(spec->otherwise, Action::drop);
  const Rule& rule = spec->rules[0];
  EXPECT_EQ(rule.match.kind, Match::Payload::prefix);
  EXPECT_EQ(rule.match.payload, bytes_of("ping"));
  EXPECT_EQ(rule.match.length_min, 4);
  EXPECT_EQ(rule.match.length_max, 1000);
  ASSERT_EQ(rule.match.masks.size(), 1u);
  EXPECT_EQ(rule.match.masks[0].at, 2);
  EXPECT_EQ(rule.match.masks[0].mask, (std::vector<uint8_t>{0xf0, 0xff}));
  EXPECT_EQ(rule.match.masks[0].value, (std::vector<uint8_t>{0x60, 0x67}));
  ASSERT_EQ(rule.match.sources.size(), 2u);
  EXPECT_EQ(rule.match.sources[0].prefix_bits, 9);
  EXPECT_EQ(rule.match.sources[1].family, 6);
  EXPECT_EQ(rule.match.sources[1].bytes[8], 8);
  EXPECT_EQ(rule.match.destination_ports, (std::vector<uint16_t>{53, 65535}));
  EXPECT_EQ(rule.action, Action::reply);
  EXPECT_TRUE(rule.amplify);
  ASSERT_EQ(rule.reply.parts.size(), 6u);
  EXPECT_EQ(rule.reply.literals, bytes_of("pong"));
  EXPECT_EQ(rule.reply.parts[1].begin, -3);
  EXPECT_EQ(rule.reply.parts[1].end, Part::kToTheEnd);
  EXPECT_EQ(rule.reply.parts[2].xor_at, 4);
  EXPECT_EQ(rule.reply.parts[3].xor_at, Part::kNoXor);
  EXPECT_EQ(rule.reply.parts[5].counter_bytes, 8);
}

TEST(RulesDecode, numbers_the_rules_that_forward) {
  RuleSpec spec;
  spec.rules.resize(4);
  spec.rules[1].action = spec.rules[3].action = Action::forward;
  spec.otherwise = Action::echo;
  std::optional<RuleSpec> read = decode_rules(encode(spec));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->otherwise, Action::echo);
  EXPECT_EQ(read->forwards, 2u);
  EXPECT_EQ(read->rules[1].forward, 0u);
  EXPECT_EQ(read->rules[3].forward, 1u);
}

TEST(RulesDecode, takes_no_rules_at_all) {
  std::optional<RuleSpec> read = decode_rules(encode({}));
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(read->rules.empty());
}

// The same bytes that test/rules/encode.once.test.ts expects of lib/server/rules/encode.ts.
TEST(RulesDecode, reads_what_javascript_writes) {
  const std::vector<uint8_t> sample = {
#include "support/rules_sample.inc"
  };
  std::optional<RuleSpec> spec = decode_rules(sample);
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(encode(*spec), sample);
  EXPECT_EQ(spec->otherwise, Action::deliver);
  ASSERT_EQ(spec->rules.size(), 6u);

  const Rule& stun = spec->rules[0];
  EXPECT_EQ(stun.action, Action::reply);
  EXPECT_TRUE(stun.amplify);
  EXPECT_EQ(stun.match.kind, Match::Payload::prefix);
  EXPECT_EQ(stun.match.payload, (std::vector<uint8_t>{0, 1}));
  EXPECT_EQ(stun.match.length_min, 20);
  EXPECT_EQ(stun.match.length_max, UINT16_MAX);
  ASSERT_EQ(stun.match.masks.size(), 1u);
  EXPECT_EQ(stun.match.masks[0].at, 4);
  EXPECT_EQ(stun.match.masks[0].value, (std::vector<uint8_t>{0x21, 0x12, 0xa4, 0x42}));
  ASSERT_EQ(stun.match.sources.size(), 2u);
  EXPECT_EQ(stun.match.sources[0].family, 4);
  EXPECT_EQ(stun.match.sources[0].prefix_bits, 8);
  EXPECT_EQ(stun.match.sources[0].bytes[0], 10);
  EXPECT_EQ(stun.match.sources[1].family, 6);
  EXPECT_EQ(stun.match.sources[1].prefix_bits, 128);
  EXPECT_EQ(stun.match.sources[1].bytes[15], 1);
  EXPECT_EQ(stun.match.destination_ports, (std::vector<uint16_t>{3478}));
  ASSERT_EQ(stun.reply.parts.size(), 5u);
  EXPECT_EQ(stun.reply.literals, (std::vector<uint8_t>{1, 1, 0, 12, 0, 32, 0, 8, 0, 1}));
  EXPECT_EQ(stun.reply.parts[1].kind, Part::Kind::request);
  EXPECT_EQ(stun.reply.parts[1].end, 20);
  EXPECT_EQ(stun.reply.parts[3].kind, Part::Kind::source_port);
  EXPECT_EQ(stun.reply.parts[4].kind, Part::Kind::source_address);
  EXPECT_EQ(stun.reply.parts[4].xor_at, 4);

  EXPECT_EQ(spec->rules[1].action, Action::count);
  EXPECT_EQ(spec->rules[1].match.kind, Match::Payload::exact);
  EXPECT_EQ(spec->rules[2].action, Action::forward);
  EXPECT_EQ(spec->rules[3].action, Action::reply);
  ASSERT_EQ(spec->rules[3].reply.parts.size(), 4u);
  EXPECT_EQ(spec->rules[3].reply.parts[0].end, Part::kToTheEnd);
  EXPECT_EQ(spec->rules[3].reply.parts[1].kind, Part::Kind::time_ntp);
  EXPECT_EQ(spec->rules[3].reply.parts[2].kind, Part::Kind::time_unix);
  EXPECT_EQ(spec->rules[3].reply.parts[3].counter_bytes, 2);
  EXPECT_EQ(spec->rules[4].action, Action::echo);
  EXPECT_FALSE(spec->rules[4].match.heeds_kernel);
}

TEST(RulesDecode, reads_what_javascript_writes_of_the_kernel) {
  const std::vector<uint8_t> sample = {
#include "support/rules_sample.inc"
  };
  std::optional<RuleSpec> spec = decode_rules(sample);
  ASSERT_TRUE(spec.has_value());
  ASSERT_EQ(spec->rules.size(), 6u);
  const Rule& told = spec->rules[5];
  EXPECT_TRUE(told.match.heeds_kernel);
  EXPECT_EQ(told.match.ttl_min, 250);
  EXPECT_EQ(told.match.ttl_max, 254);
  EXPECT_EQ(told.match.dscps, 1 | uint64_t{1} << 46);
  EXPECT_EQ(told.match.ecns, 0b1010);
  ASSERT_EQ(told.match.locals.size(), 2u);
  EXPECT_EQ(told.match.locals[0].prefix_bits, 24);
  EXPECT_EQ(told.match.locals[1].family, 6);
  ASSERT_EQ(told.reply.parts.size(), 4u);
  EXPECT_EQ(told.reply.parts[0].kind, Part::Kind::local_address);
  EXPECT_EQ(told.reply.parts[0].xor_at, 2);
  EXPECT_EQ(told.reply.parts[1].kind, Part::Kind::ttl);
  EXPECT_EQ(told.reply.parts[2].kind, Part::Kind::dscp);
  EXPECT_EQ(told.reply.parts[3].kind, Part::Kind::ecn);
}

TEST(RulesDecode, refuses_conditions_of_the_kernel_that_none_or_all_fulfil) {
  auto taken = [](auto&& change) {
    RuleSpec spec;
    Match& match = spec.rules.emplace_back().match;
    match.heeds_kernel = true;
    match.ttl_min = 1;
    change(match);
    return decode_rules(encode(spec)).has_value();
  };
  EXPECT_TRUE(taken([](Match&) {}));
  EXPECT_TRUE(taken([](Match& match) { match.ttl_min = 255; }));
  EXPECT_FALSE(taken([](Match& match) { match.ttl_min = 0; })) << "says nothing";
  EXPECT_FALSE(taken([](Match& match) { match.ttl_max = 0; }));
  EXPECT_FALSE(taken([](Match& match) { match.dscps = 0; }));
  EXPECT_FALSE(taken([](Match& match) { match.ecns = 0; }));
  EXPECT_FALSE(taken([](Match& match) { match.ecns = 0x1f; }));
  EXPECT_TRUE(taken([](Match& match) { match.locals.resize(kLocalsMax); }));
  EXPECT_FALSE(taken([](Match& match) { match.locals.resize(kLocalsMax + 1); }));
}

TEST(RulesDecode, refuses_every_part_of_a_valid_input) {
  std::vector<uint8_t> whole = encode(full_spec());
  for (size_t size = 0; size < whole.size(); size++) {
    std::vector<uint8_t> part(whole.begin(), whole.begin() + size);
    EXPECT_FALSE(decode_rules(part).has_value()) << size << " of " << whole.size() << " bytes";
  }
}

TEST(RulesDecode, refuses_bytes_behind_the_last_rule) {
  std::vector<uint8_t> longer = encode(full_spec());
  longer.push_back(0);
  EXPECT_FALSE(decode_rules(longer).has_value());
}

TEST(RulesDecode, refuses_another_header) {
  const std::vector<uint8_t> valid = encode(full_spec());
  for (size_t at : {0, 1, 2, 3, 4, 5, 7}) {  // magic, version, reserved
    std::vector<uint8_t> changed = valid;
    changed[at]++;
    EXPECT_FALSE(decode_rules(changed).has_value()) << "byte " << at;
  }
  for (Action otherwise : {Action::count, Action::reply, Action::forward, Action{6}, Action{255}}) {
    RuleSpec spec = full_spec();
    spec.otherwise = otherwise;
    EXPECT_TRUE(refused(spec)) << static_cast<int>(otherwise);
  }
  for (uint32_t rules : {0u, 2u, 65537u, UINT32_MAX}) {
    std::vector<uint8_t> changed = valid;
    for (int i = 0; i < 4; i++) changed[8 + i] = static_cast<uint8_t>(rules >> 8 * i);
    EXPECT_FALSE(decode_rules(changed).has_value()) << rules << " rules";
  }
}

TEST(RulesDecode, refuses_fields_that_are_out_of_range) {
  using Change = std::function<void(Rule&)>;
  const std::pair<const char*, Change> changes[] = {
      {"unknown action", [](Rule& r) { r.action = Action{6}; }},
      {"amplify without a reply", [](Rule& r) { r.action = Action::echo; }},
      {"a payload without use", [](Rule& r) { r.match.kind = Match::Payload::any; }},
      {"length min > max", [](Rule& r) { r.match.length_min = 1001; }},
      {"payload too long", [](Rule& r) { r.match.payload.resize(65536); }},
      {"empty mask", [](Rule& r) { r.match.masks[0] = {}; }},
      {"mask too long",
       [](Rule& r) { r.match.masks[0].mask.resize(257), r.match.masks[0].value.resize(257); }},
      {"value outside of the mask", [](Rule& r) { r.match.masks[0].value[0] = 0x61; }},
      {"mask beyond any datagram", [](Rule& r) { r.match.masks[0].at = 65534; }},
      {"too many masks", [](Rule& r) { r.match.masks.resize(257, r.match.masks[0]); }},
      {"family 0", [](Rule& r) { r.match.sources[0].family = 0; }},
      {"family 5", [](Rule& r) { r.match.sources[0].family = 5; }},
      {"IPv4 prefix of 33 bits", [](Rule& r) { r.match.sources[0].prefix_bits = 33; }},
      {"IPv6 prefix of 129 bits", [](Rule& r) { r.match.sources[1].prefix_bits = 129; }},
      {"bits behind the prefix", [](Rule& r) { r.match.sources[0].prefix_bits = 8; }},
      {"too many sources", [](Rule& r) { r.match.sources.resize(4097, r.match.sources[0]); }},
      {"port 0", [](Rule& r) { r.match.destination_ports[1] = 0; }},
      {"too many ports", [](Rule& r) { r.match.destination_ports.resize(1025, 1); }},
      {"unknown part", [](Rule& r) { r.reply.parts[4].kind = Part::Kind{11}; }},
      {"start out of range", [](Rule& r) { r.reply.parts[1].begin = -65536; }},
      {"no start", [](Rule& r) { r.reply.parts[1].begin = Part::kToTheEnd; }},
      {"end out of range", [](Rule& r) { r.reply.parts[1].end = 65536; }},
      {"xor out of range", [](Rule& r) { r.reply.parts[2].xor_at = 65536; }},
      {"negative xor", [](Rule& r) { r.reply.parts[3].xor_at = -2; }},
      {"counter of 3 bytes", [](Rule& r) { r.reply.parts[5].counter_bytes = 3; }},
      {"counter of 0 bytes", [](Rule& r) { r.reply.parts[5].counter_bytes = 0; }},
      {"too many parts", [](Rule& r) { r.reply.parts.resize(257, r.reply.parts[4]); }},
      {"literals too long", [](Rule& r) { r.reply.literals.resize(65508), r.reply.parts[0].end = 65508; }},
  };
  for (const auto& [name, change] : changes) {
    RuleSpec spec = full_spec();
    ASSERT_FALSE(refused(spec));
    change(spec.rules[0]);
    EXPECT_TRUE(refused(spec)) << name;
  }
  std::vector<uint8_t> encoded = encode(full_spec());
  ASSERT_EQ(encoded[13], kFlagPrefix | kFlagAmplify);
  encoded[13] = kFlagPrefix | kFlagExact | kFlagAmplify;
  EXPECT_FALSE(decode_rules(encoded).has_value()) << "exact and prefix";
  encoded[13] = kFlagPrefix | kFlagAmplify | 8;
  EXPECT_FALSE(decode_rules(encoded).has_value()) << "unknown flag";
}

TEST(RulesDecode, takes_what_is_just_within_the_limits) {
  RuleSpec spec = full_spec();
  Rule& rule = spec.rules[0];
  rule.match.payload.resize(65535);
  rule.match.masks[0] = {
      .at = 65279, .mask = std::vector<uint8_t>(256, 1), .value = std::vector<uint8_t>(256)};
  rule.match.masks.resize(256, rule.match.masks[0]);
  rule.match.sources.resize(4096, rule.match.sources[0]);
  rule.match.destination_ports.resize(1024, 1);
  rule.reply.literals.resize(65507);
  rule.reply.parts[0].end = 65507;
  rule.reply.parts[1] = {.kind = Part::Kind::request, .begin = -65535, .end = 65535};
  rule.reply.parts[2].xor_at = 65535;
  rule.reply.parts.resize(256, rule.reply.parts[4]);
  EXPECT_FALSE(refused(spec));
  spec.rules.assign(65536, {});
  EXPECT_FALSE(refused(spec));
  spec.rules.emplace_back();
  EXPECT_TRUE(refused(spec));
}

TEST(RulesDecode, gives_back_what_was_encoded) {
  test::Random random(1);
  for (int i = 0; i < 1000; i++) {
    std::vector<uint8_t> encoded = encode(test::random_spec(random, 20));
    std::optional<RuleSpec> spec = decode_rules(encoded);
    ASSERT_TRUE(spec.has_value()) << "specification " << i;
    ASSERT_EQ(encode(*spec), encoded) << "specification " << i;
  }
}

}  // namespace
}  // namespace ksocket::rules
