#include "core/memory/latency_histogram.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace ksocket {
namespace {

constexpr uint64_t kUs = 1000;
constexpr uint64_t kSecond = 1'000'000'000;

// Where a bucket begins, in microseconds, as the drawing in the header says: the way back, written another
// way.
uint64_t start_us(uint32_t bucket) {
  if (bucket < 16) return bucket;
  uint64_t octave = 16, width = 2;
  for (uint32_t first = 16; bucket >= first + 8; first += 8) octave *= 2, width *= 2;
  return octave + (bucket % 8) * width;
}

TEST(LatencyHistogram, has_a_bucket_for_each_of_the_first_microseconds) {
  EXPECT_EQ(latency_bucket(0), 0u);
  EXPECT_EQ(latency_bucket(999), 0u);
  for (uint32_t us = 0; us < 16; us++) EXPECT_EQ(latency_bucket(us * kUs), us);
}

TEST(LatencyHistogram, begins_each_bucket_where_it_says) {
  for (uint32_t bucket = 1; bucket < kLatencyBuckets; bucket++) {
    EXPECT_EQ(latency_bucket(start_us(bucket) * kUs), bucket);
    EXPECT_EQ(latency_bucket(start_us(bucket) * kUs - 1), bucket - 1);
  }
}

TEST(LatencyHistogram, is_an_eighth_off_at_most) {
  for (uint32_t bucket = 8; bucket + 1 < kLatencyBuckets; bucket++) {
    EXPECT_LE((start_us(bucket + 1) - start_us(bucket)) * 8, start_us(bucket)) << bucket;
  }
}

TEST(LatencyHistogram, reaches_beyond_ten_seconds_and_then_has_a_last_bucket) {
  EXPECT_LT(latency_bucket(10 * kSecond), kLatencyBuckets - 1);
  EXPECT_EQ(latency_bucket((uint64_t{1} << 24) * kUs - 1), kLatencyBuckets - 2);
  EXPECT_EQ(latency_bucket((uint64_t{1} << 24) * kUs), kLatencyBuckets - 1);
  EXPECT_EQ(latency_bucket(std::numeric_limits<uint64_t>::max()), kLatencyBuckets - 1);
}

TEST(LatencyHistogram, counts_datagrams_and_sums_nanoseconds) {
  uint64_t cells[kLatencyCells] = {};
  LatencyHistogram histogram(cells);
  histogram.record(1000, 1000 + 5 * kUs, 1);
  histogram.record(1000, 1000 + 5 * kUs + 400, 64);  // a super-datagram
  histogram.record(1000, 1000 + 3 * kSecond, 1);
  EXPECT_EQ(cells[5], 65u);
  EXPECT_EQ(cells[latency_bucket(3 * kSecond)], 1u);
  EXPECT_EQ(cells[kLatencySum], 5000 + 64 * 5400 + 3 * kSecond);
  uint64_t count = 0;
  for (uint32_t i = 0; i < kLatencyBuckets; i++) count += cells[i];
  EXPECT_EQ(count, 66u);
}

TEST(LatencyHistogram, takes_a_clock_that_was_set_back_for_no_time) {
  uint64_t cells[kLatencyCells] = {};
  LatencyHistogram(cells).record(2 * kSecond, kSecond, 1);
  EXPECT_EQ(cells[0], 1u);
  EXPECT_EQ(cells[kLatencySum], 0u);
}

TEST(LatencyHistogram, is_nowhere_by_default) {
  uint64_t cells[kLatencyCells] = {};
  EXPECT_FALSE(LatencyHistogram());
  EXPECT_TRUE(LatencyHistogram(cells));
}

}  // namespace
}  // namespace ksocket
