// Lists, limits and the guard in the kernel, beside those of the thread, on a clock that stands until it is
// set.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "core/answer/guarded_responder.h"
#include "core/answer/protection/exchanges.h"
#include "core/answer/protection/seen_payloads.h"
#include "support/address_lists.h"
#include "support/fake_engine.h"
#include "support/random.h"
#include "support/ring_memory.h"
#include "support/xdp_frames.h"
#include "support/xdp_kernel.h"

namespace ksocket::xdp {
namespace {

using rules::Action;
using test::Frame;
using Bytes = std::vector<uint8_t>;

#define NEEDS_XDP() \
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why

constexpr uint16_t kPort = 2325;
constexpr uint8_t kLocal[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
constexpr uint8_t kLocal6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr uint64_t kSeed = 77;
constexpr uint64_t kSecond = 1'000'000'000;

// Echoes everything.
struct Talk {
  explicit Talk(const Protection& protection, rules::RuleSpec spec = {{}, Action::echo, 0})
      : compiled(compile(spec, protection,
                         {.port = kPort, .clock = CompileOptions::Clock::stands, .seed = kSeed})),
        kernel(compiled) {
    kernel.set_address(kLocal, kAddressLocal | kAddressServed);
    kernel.set_address(kLocal6, kAddressLocal | kAddressServed);
  }
  uint32_t ask(const Frame& frame, uint64_t now_ns) {
    if (now_ns != now_) kernel.set_options({.clock_offset_ns = now_ns, .epoch_ns = epoch_ns});
    now_ = now_ns;
    return kernel.run(frame.bytes()).verdict;
  }
  CompiledRules compiled;
  test::XdpKernel kernel;
  uint64_t epoch_ns = 0;

 private:
  uint64_t now_ = 0;
};

Frame asked(const Address& source, Bytes payload) {
  Frame out;
  out.payload = std::move(payload);
  size_t bytes = source.family == 4 ? 4 : 16;
  out.source.assign(source.bytes, source.bytes + bytes);
  out.local.assign(bytes == 4 ? kLocal + 12 : kLocal6, (bytes == 4 ? kLocal : kLocal6) + 16);
  out.source_port = source.port;
  out.local_port = kPort;
  return out;
}

TEST(XdpProtection, refuses_who_is_in_the_deny_list_or_not_in_the_allow_list) {
  NEEDS_XDP();
  AddressSet deny = test::set_of({"10.0.0.5-10.0.1.9", "2001:db8:5::-2001:db8:9::ff"});
  AddressSet allow = test::set_of({"10.0.0.0-10.0.1.255", "2001:db8::-2001:db8:ffff::"});
  Protection protection{.deny = &deny, .allow = &allow};
  Talk talk(protection);
  ASSERT_EQ(talk.kernel.error(), "");
  test::Random random(3);
  uint64_t refused = 0;
  for (int i = 0; i < 2000; i++) {
    Address source = test::address_of(random.one_in(2) ? "10.0.0.0" : "2001:db8::", 4000);
    if (source.family == 4) {
      source.bytes[2] = random.below(3), source.bytes[3] = random.below(16);
    } else {
      source.bytes[5] = random.below(12), source.bytes[15] = random.below(2),
      source.bytes[14] = random.below(2);
    }
    if (source.family == 4 && source.bytes[2] == 0 && source.bytes[3] == 1) continue;
    bool wanted = !deny.contains(source) && allow.contains(source);
    refused += !wanted;
    ASSERT_EQ(talk.ask(asked(source, {'x'}), 1), wanted ? XDP_TX : XDP_DROP) << format_address(source);
  }
  EXPECT_GT(refused, 200u);
  EXPECT_EQ(talk.kernel.counters().denied, refused);
}

TEST(XdpProtection, an_empty_allow_list_allows_nobody) {
  NEEDS_XDP();
  AddressSet none;
  Talk talk({.allow = &none});
  ASSERT_EQ(talk.kernel.error(), "");
  EXPECT_EQ(talk.ask(asked(test::address_of("10.0.0.9", 1), {'x'}), 1), uint32_t{XDP_DROP});
}

// Rates of which a token is a whole number of the kernel's units, so that both have the same.
TEST(XdpProtection, takes_the_tokens_that_the_thread_takes) {
  NEEDS_XDP();
  test::Random random(4);
  for (uint64_t rate : {4u, 10u, 1000u, 1'000'000u}) {
    RateLimit per_source{rate, 2}, total{rate * 5 / 2, 7};
    Talk talk({.per_source = per_source, .sources = 1024, .total = total});
    ASSERT_EQ(talk.kernel.error(), "");
    TokenBuckets sources(per_source, 1024, 1);
    TotalBucket server(total);
    uint64_t now_ns = kSecond, limited = 0, limited_total = 0;
    for (int i = 0; i < 1000; i++) {
      now_ns += random.below(static_cast<uint32_t>(kSecond / rate / 3));
      Address source = test::address_of(random.one_in(2) ? "10.0.0.8" : "2001:db8:1::", 4000);
      source.bytes[source.family == 4 ? 3 : 7] = random.below(2) + 7;
      source.bytes[15] = source.family == 4 ? 0 : random.below(256);  // one /64
      bool passes = sources.take(source, now_ns);
      limited += !passes;
      if (passes && !server.take(now_ns)) passes = false, limited_total++;
      ASSERT_EQ(talk.ask(asked(source, {'x'}), now_ns), passes ? XDP_TX : XDP_DROP) << rate << ' ' << i;
    }
    EXPECT_GT(limited, 10u);
    EXPECT_GT(limited_total, 10u);
    EXPECT_EQ(talk.kernel.counters().limited, limited);
    EXPECT_EQ(talk.kernel.counters().limited_total, limited_total);
  }
}

// 64 bits of 2^-8 ns are 834 days, and 63 bits half of it.
TEST(XdpProtection, limits_are_the_same_when_the_clock_of_buckets_goes_round) {
  NEEDS_XDP();
  for (int bits : {55, 56}) {
    RateLimit limit{5, 5};
    Talk talk({.per_source = limit, .sources = 1024});
    ASSERT_EQ(talk.kernel.error(), "");
    TokenBuckets sources(limit, 1024, 1);
    uint64_t now_ns = kSecond * 1'000'000'000;
    talk.epoch_ns = now_ns + 3 * kSecond - (uint64_t{1} << bits);
    Address source = test::address_of("10.0.0.8", 4000);
    uint32_t passed = 0;
    for (int i = 0; i < 200; i++) {
      bool passes = sources.take(source, now_ns += kSecond / 20);
      passed += passes;
      ASSERT_EQ(talk.ask(asked(source, {'x'}), now_ns), passes ? XDP_TX : XDP_DROP) << bits << ' ' << i;
    }
    EXPECT_GT(passed, 40u);
    EXPECT_LT(passed, 80u);
  }
}

TEST(XdpProtection, a_spoofed_flood_takes_no_more_memory_and_no_tokens_of_others) {
  NEEDS_XDP();
  Talk talk({.per_source = RateLimit{1, 3}, .sources = 1024});
  ASSERT_EQ(talk.kernel.error(), "");
  Address source = test::address_of("10.0.0.0", 4000), honest = test::address_of("10.200.0.1", 4000);
  for (uint32_t i = 0; i < 20'000; i++) {
    source.bytes[1] = 1 + (i >> 16), source.bytes[2] = i >> 8, source.bytes[3] = i;
    EXPECT_EQ(talk.ask(asked(source, {'x'}), kSecond + i * 1000), uint32_t{XDP_TX});
    // One a second.
    if (i % 1000 != 0) continue;
    EXPECT_EQ(talk.ask(asked(honest, {'x'}), kSecond + i * 1'000'000), uint32_t{XDP_TX});
  }
  EXPECT_LE(talk.kernel.elements(MapId::per_source), 1024u);
}

// A limit holds for what the kernel decides: what it passes up the thread limits.
TEST(XdpProtection, what_is_passed_up_takes_no_tokens) {
  NEEDS_XDP();
  Talk talk({.total = RateLimit{1, 1}}, {{}, Action::deliver, 0});
  ASSERT_EQ(talk.kernel.error(), "");
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(talk.ask(asked(test::address_of("10.0.0.9", 1), {'x'}), 1), uint32_t{XDP_PASS});
  }
}

TEST(XdpProtection, services_that_answer_whatever_they_get_are_the_threads) {
  NEEDS_XDP();
  rules::RuleSpec spec{{}, Action::echo, 0};
  spec.rules.resize(1);
  spec.rules[0].match.length_max = 1;
  spec.rules[0].action = Action::reply;
  Address service = test::address_of("10.0.0.9", 19), client = test::address_of("10.0.0.9", 20);
  Talk usual({.service_ports = {7, 19}}, spec),
      strict({.service_ports = {7, 19}, .services_get_replies = false}, spec);
  EXPECT_EQ(usual.ask(asked(service, {'x', 'y'}), 1), uint32_t{XDP_PASS});
  EXPECT_EQ(usual.ask(asked(client, {'x', 'y'}), 1), uint32_t{XDP_TX});
  EXPECT_EQ(usual.ask(asked(service, {'x'}), 1), uint32_t{XDP_TX});
  EXPECT_EQ(strict.ask(asked(service, {'x'}), 1), uint32_t{XDP_PASS});
  EXPECT_EQ(strict.ask(asked(client, {'x'}), 1), uint32_t{XDP_TX});
}

// Peers of all kinds: who says always the same, who says new things, who says what we said, fast and slowly.
TEST(XdpProtection, guards_against_answers_of_answers_as_the_thread_does) {
  NEEDS_XDP();
  test::Random random(9);
  for (int round = 0; round < 12; round++) {
    RateLimit repeats{1 + random.below(2000), 8 + random.below(600)};
    rules::RuleSpec spec{{}, Action::echo, 0};
    bool replies = random.one_in(2);
    if (replies) {
      spec.rules.resize(1);
      spec.rules[0].action = Action::reply;
      spec.rules[0].amplify = true;
      spec.rules[0].reply.literals = {'o', 'k'};
      spec.rules[0].reply.parts.push_back({.end = 2});
    }
    Talk talk({.repeats = repeats}, spec);
    ASSERT_EQ(talk.kernel.error(), "");
    Exchanges exchanges(repeats, kSeed);
    uint64_t now_ns = 5 * kSecond, refused = 0;
    uint32_t kinds = 1 + random.below(random.one_in(2) ? 4 : 1000);
    for (int i = 0; i < 4000; i++) {
      if (random.one_in(500)) kinds = 1 + random.below(random.one_in(2) ? 4 : 1000);
      now_ns += random.one_in(400) ? random.below(2'000'000'000)
                                   : random.below(random.one_in(50) ? 30'000'000 : 200'000);
      Address source = test::address_of(random.one_in(8) ? "10.0.0.9" : "2001:db8::9", 4000);
      uint32_t kind = random.below(kinds);
      Bytes payload{'k', static_cast<uint8_t>(kind), static_cast<uint8_t>(kind >> 8)};
      if (random.one_in(5)) payload = {'o', 'k'};
      Address peer = test::ipv6_of(host_number(source));  // as a socket for both families says it
      peer.port = source.port;
      Exchanges::Exchange& exchange = exchanges.find(peer, now_ns);
      bool wanted = exchanges.admits(exchange, payload, 1, now_ns);
      if (wanted && replies && exchanges.listens(exchange))
        exchanges.said(peer, spec.rules[0].reply.literals);
      refused += !wanted;
      ASSERT_EQ(talk.ask(asked(source, payload), now_ns), wanted ? XDP_TX : XDP_DROP) << round << ' ' << i;
    }
    EXPECT_EQ(talk.kernel.counters().loop_repeats, refused);
  }
}

// Other hashes would do the same, with more of them alike.
TEST(XdpProtection, remembers_what_was_said_by_the_hash_that_the_thread_has) {
  NEEDS_XDP();
  constexpr RateLimit kRepeats{1, 8};
  for (size_t size : {0, 1, 8, 9, 100}) {
    Talk talk({.repeats = kRepeats});
    ASSERT_EQ(talk.kernel.error(), "");
    Exchanges exchanges(kRepeats, kSeed);
    Address source = test::address_of("10.0.0.9", 4000);
    Address peer = test::ipv6_of(host_number(source));
    peer.port = source.port;
    Bytes payload(size, 'h');
    for (int i = 0; i < 8; i++) talk.ask(asked(source, payload), kSecond);
    uint64_t hash = payload_hash(exchanges.find(peer, kSecond).peer, payload);
    uint8_t value;
    EXPECT_TRUE(talk.kernel.element(MapId::seen, &hash, &value)) << size;
  }
}

}  // namespace
}  // namespace ksocket::xdp
