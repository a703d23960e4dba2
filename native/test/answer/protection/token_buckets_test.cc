#include "core/answer/protection/token_buckets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "support/address_lists.h"
#include "support/bucket_model.h"
#include "support/fake_engine.h"

namespace ksocket {
namespace {

using test::address_of;
using test::fuzz_inputs;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kOneSet = TokenBuckets::kWays;

Address numbered(uint32_t n) {
  Address out = address_of("0.0.0.0", 4000);
  std::memcpy(out.bytes, &n, 4);
  return out;
}

TEST(TotalBucket, lets_pass_the_burst_at_once_and_then_the_rate) {
  TotalBucket bucket({.rate = 10, .burst = 3});
  uint64_t now = 5 * kSecond;
  for (int i = 0; i < 3; i++) EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now + kSecond / 10 - 1));
  EXPECT_TRUE(bucket.take(now + kSecond / 10));
  EXPECT_FALSE(bucket.take(now + kSecond / 10));
  EXPECT_EQ(bucket.take(now + 60 * kSecond, 100), 3u) << "a pause gathers no more than the burst";
}

TEST(TotalBucket, grants_as_many_as_there_are_tokens_for) {
  TotalBucket bucket({.rate = 1, .burst = 10});
  EXPECT_EQ(bucket.take(0, 4), 4u);
  EXPECT_EQ(bucket.take(0, 0), 0u);
  EXPECT_EQ(bucket.take(0, 100), 6u);
  EXPECT_EQ(bucket.take(2 * kSecond, 100), 2u);
  EXPECT_EQ(bucket.take(2 * kSecond, 100), 0u);
}

TEST(TotalBucket, starts_full_whatever_the_clock_says) {
  for (uint64_t now : {uint64_t{0}, uint64_t{1}, kSecond, UINT64_MAX}) {
    TotalBucket bucket({.rate = 1, .burst = 2});
    EXPECT_EQ(bucket.take(now, 5), 2u) << now;
  }
}

TEST(TotalBucket, stands_still_while_the_clock_goes_back) {
  TotalBucket bucket({.rate = 10, .burst = 1});
  EXPECT_TRUE(bucket.take(9 * kSecond));
  EXPECT_FALSE(bucket.take(kSecond));
  EXPECT_FALSE(bucket.take(9 * kSecond + kSecond / 10 - 1)) << "the time that went back is not gained twice";
  EXPECT_TRUE(bucket.take(9 * kSecond + kSecond / 10));
}

TEST(TotalBucket, holds_the_largest_rate_and_burst) {
  TotalBucket bucket({.rate = RateLimit::kMax, .burst = RateLimit::kMax});
  EXPECT_EQ(bucket.take(0, UINT32_MAX), RateLimit::kMax);
  EXPECT_EQ(bucket.take(7, UINT32_MAX), 7u);
  EXPECT_EQ(bucket.take(UINT64_MAX, UINT32_MAX), RateLimit::kMax);
}

// Nothing is rounded: who takes whatever there is has got, at any time, the burst and exactly the rate.
TEST(TotalBucket, keeps_the_rate_exactly_over_time) {
  std::mt19937_64 random(1);
  for (uint64_t rate : {1ull, 3ull, 7ull, 1000ull, 999'983ull, 10'000'019ull, 999'999'937ull}) {
    constexpr uint64_t kBurst = 1000;
    TotalBucket bucket({rate, kBurst});
    // The bucket is never full between two calls, so that no token is lost.
    uint64_t step_max = (kBurst - 1) * kSecond / rate;
    unsigned __int128 elapsed = 0;
    uint64_t start = random() >> 16, granted = bucket.take(start, UINT32_MAX);
    for (int i = 0; i < 5000; i++) {
      elapsed += random() % step_max + 1;
      granted += bucket.take(start + static_cast<uint64_t>(elapsed), UINT32_MAX);
      ASSERT_EQ(granted, kBurst + static_cast<uint64_t>(elapsed * rate / kSecond)) << rate;
    }
  }
}

TEST(TokenBuckets, decide_as_virtual_scheduling_does) {
  std::mt19937_64 random(2);
  uint64_t served = 0, total = fuzz_inputs(20'000);
  for (uint64_t i = 0; i < total;) {
    RateLimit limit{1 + random() % (random() % 2 == 0 ? 100 : 10'000'000), 1 + random() % 20};
    TokenBuckets buckets(limit, 1024, random());
    std::vector<test::BucketModel> models(5, test::BucketModel(limit));
    uint64_t now = random() >> 8, interval = kSecond / limit.rate;
    for (int n = 0; n < 1000; n++, i++) {
      now += random() % (random() % 200 == 0 ? 20 * interval : interval / 10 + 1);
      uint32_t source = static_cast<uint32_t>(random() % models.size());
      bool expected = models[source].take(now, 1) == 1;
      ASSERT_EQ(buckets.take(numbered(source), now), expected);
      served += expected;
    }
  }
  EXPECT_GT(served, total / 10) << "the times are no test";
  EXPECT_LT(served, total * 9 / 10) << "the times are no test";
}

TEST(TokenBuckets, limit_each_source_on_its_own) {
  TokenBuckets buckets({.rate = 1, .burst = 2}, 1024, 1);
  for (const char* source : {"10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8:0:1::1", "::"}) {
    EXPECT_EQ(buckets.take(address_of(source, 1), 0, 5), 2u) << source;
  }
}

TEST(TokenBuckets, take_an_ipv6_prefix_a_mapped_address_and_all_ports_for_one_source) {
  TokenBuckets buckets({.rate = 1, .burst = 1}, 1024, 1);
  EXPECT_TRUE(buckets.take(address_of("2001:db8:1:2::1", 1), 0));
  EXPECT_FALSE(buckets.take(address_of("2001:db8:1:2:ffff::7", 2), 0));
  EXPECT_TRUE(buckets.take(address_of("10.0.0.1", 1), 0));
  EXPECT_FALSE(buckets.take(address_of("10.0.0.1", 2), 0));
  EXPECT_FALSE(buckets.take(address_of("::ffff:10.0.0.1", 3), 0));
  // ::ffff:0:0/96 lies in ::/64, whose other addresses are another source.
  EXPECT_TRUE(buckets.take(address_of("::10.0.0.1", 1), 0));
  Address zone = address_of("fe80::1", 1);
  EXPECT_TRUE(buckets.take(zone, 0));
  zone.scope_id = 3;
  EXPECT_FALSE(buckets.take(zone, 0));
}

// 10.0.0.1 and 0:0:a00:1::/64 are 0x0a000001.
TEST(TokenBuckets, tell_an_ipv4_address_from_the_ipv6_prefix_that_is_the_same_number) {
  TokenBuckets buckets({.rate = 1, .burst = 1}, kOneSet, 1);
  for (bool first : {true, false}) {
    for (const char* source : {"10.0.0.1", "0:0:a00:1::1"}) {
      EXPECT_EQ(buckets.take(address_of(source, 1), 0), first) << source;
    }
  }
}

// ---- floods of spoofed sources, each of which is new

TEST(TokenBuckets, keep_their_size_in_a_flood) {
  TokenBuckets buckets({.rate = 10, .burst = 10}, 1024, 1);
  std::mt19937 random(3);
  for (uint32_t i = 0; i < 500'000; i++) EXPECT_TRUE(buckets.take(numbered(random() | 1), i));
  EXPECT_EQ(buckets.capacity(), 1024u);
}

// At its rate to the nanosecond and without any burst, between hundreds of spoofed sources.
TEST(TokenBuckets, serve_a_source_within_its_rate_during_a_flood) {
  for (uint32_t sources : {kOneSet, 1024u}) {
    TokenBuckets buckets({.rate = 1000, .burst = 1}, sources, 1);
    std::mt19937 random(4);
    Address regular = address_of("192.0.2.1", 4000);
    for (uint64_t now = 0; now < kSecond; now += kSecond / 1000) {
      ASSERT_TRUE(buckets.take(regular, now)) << now;
      for (uint32_t i = random() % 300; i > 0; i--) buckets.take(numbered(random() | 1), now + i);
    }
  }
}

// The flood gives a source that is over its limit no token: it keeps its place.
TEST(TokenBuckets, go_on_limiting_a_source_during_a_flood) {
  constexpr uint64_t kRate = 100, kBurst = 2;
  for (uint32_t sources : {kOneSet, 1024u}) {
    TokenBuckets buckets({kRate, kBurst}, sources, 1);
    std::mt19937 random(5);
    Address greedy = address_of("192.0.2.2", 4000);
    uint64_t now = 7, served = buckets.take(greedy, now, 10);
    for (uint64_t i = 0; i < 300'000; i++, now += 1000) {
      served += buckets.take(greedy, now);
      buckets.take(numbered(random() | 1), now);
    }
    EXPECT_EQ(served, kBurst + (now - 7 - 1000) * kRate / kSecond);
  }
}

// The least favourable case: with a burst of 1 a spoofed source misses as much as the greedy one, all are in
// its set, and the clock stands still, so that they cannot be told apart by it either.
TEST(TokenBuckets, cost_a_flood_eight_datagrams_for_one_that_a_limited_source_gains) {
  for (uint64_t step_ns : {0, 1, 1000}) {
    TokenBuckets buckets({.rate = 1, .burst = 1}, kOneSet, 1);
    Address greedy = address_of("192.0.2.2", 4000);
    uint64_t now = 0, served = 0, spoofed = 0;
    for (; spoofed < 100'000; spoofed++, now += step_ns) {
      served += buckets.take(greedy, now, 3);
      buckets.take(numbered(static_cast<uint32_t>(spoofed) + 1), now);
    }
    uint64_t own = 1 + now / kSecond;
    EXPECT_LE(served, own + spoofed / 8) << step_ns;
  }
}

// A source that has taken much is not pushed out by those that have taken less, however many they are.
TEST(TokenBuckets, give_up_the_place_that_the_fewest_tokens_are_missing_from) {
  TokenBuckets buckets({.rate = 1, .burst = 100}, kOneSet, 1);
  for (uint32_t n = 1; n <= 8; n++) ASSERT_EQ(buckets.take(numbered(n), 0, n * 10), n * 10);
  ASSERT_EQ(buckets.take(numbered(100), 0, 95), 95u);  // pushes out 1
  ASSERT_EQ(buckets.take(numbered(1), 0, 97), 97u);    // starts full, pushes out 2
  for (uint32_t n = 3; n <= 8; n++) EXPECT_EQ(buckets.take(numbered(n), 0, 100), 100 - n * 10) << n;
  EXPECT_EQ(buckets.take(numbered(100), 0, 100), 5u);
  EXPECT_EQ(buckets.take(numbered(1), 0, 100), 3u);
}

TEST(TokenBuckets, count_what_a_source_has_gained_since_when_they_choose) {
  TokenBuckets buckets({.rate = 10, .burst = 100}, kOneSet, 1);
  ASSERT_EQ(buckets.take(numbered(1), 0, 50), 50u);
  for (uint32_t n = 2; n <= 8; n++) ASSERT_EQ(buckets.take(numbered(n), 4 * kSecond, 20), 20u);
  // Missing: 10 from the first by now, 20 from the others.
  ASSERT_EQ(buckets.take(numbered(100), 4 * kSecond, 100), 100u);
  for (uint32_t n = 2; n <= 8; n++) EXPECT_EQ(buckets.take(numbered(n), 4 * kSecond, 100), 80u) << n;
}

// Whoever could foresee the set of an address could crowd it with eight sources of his own.
TEST(TokenBuckets, place_sources_differently_for_each_seed) {
  auto survivors = [](uint64_t seed) {
    TokenBuckets buckets({.rate = 1, .burst = 1}, 1024, seed);
    for (uint32_t n = 0; n < 2000; n++) buckets.take(numbered(n), n);
    std::vector<bool> out;
    for (uint32_t n = 0; n < 200; n++) out.push_back(!TokenBuckets(buckets).take(numbered(n), 2000));
    return out;
  };
  EXPECT_EQ(survivors(1), survivors(1));
  EXPECT_NE(survivors(1), survivors(2));
}

// As many sources as half the places: hardly any set is too small for its own.
TEST(TokenBuckets, spread_neighbouring_sources_over_the_sets) {
  for (const char* first : {"10.0.0.0", "2001:db8::"}) {
    TokenBuckets buckets({.rate = 1, .burst = 1}, 4096, 5);
    Address address = address_of(first, 4000);
    uint32_t forgotten = 0;
    for (bool again : {false, true}) {
      for (uint32_t n = 0; n < 2048; n++) {
        address.bytes[address.family == 4 ? 3 : 7] = static_cast<uint8_t>(n);
        address.bytes[address.family == 4 ? 2 : 6] = static_cast<uint8_t>(n >> 8);
        forgotten += buckets.take(address, 0) && again;
      }
    }
    EXPECT_LT(forgotten, 100u) << first;
  }
}

}  // namespace
}  // namespace ksocket
