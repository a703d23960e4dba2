// How long datagrams lay in the kernel before they were read: a log-linear histogram (as HdrHistogram's) in
// memory that JavaScript reads without a call. lib/monitor/latency.ts is its reader.
//
//   microseconds   0 1 2 … 7 │ 8 9 … 15 │ 16 18 … 30 │ 32 36 … 60 │ … │ 2^23 … │ 2^24 and more
//   bucket         0 1 2 … 7 │ 8 9 … 15 │ 16 17 … 23 │ 24 …       │ … │ … 175  │ 176
//
// Eight buckets to each power of two: a bound is off by an eighth at most, from 1 µs to 16.8 s.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

namespace ksocket {

inline constexpr uint32_t kLatencySubBucketBits = 3;
inline constexpr uint32_t kLatencyOctaveMax = 23;  // the last one that is divided begins at 2^23 µs
inline constexpr uint32_t kLatencyBuckets =
    ((kLatencyOctaveMax - kLatencySubBucketBits + 2) << kLatencySubBucketBits) + 1;
// The buckets' counts, then the sum of all latencies in nanoseconds.
inline constexpr uint32_t kLatencySum = kLatencyBuckets;
inline constexpr uint32_t kLatencyCells = kLatencyBuckets + 1;
static_assert(kLatencyBuckets == 177);

// The bucket of a latency.
constexpr uint32_t latency_bucket(uint64_t ns) {
  uint64_t us = ns / 1000;
  if (us < 1u << kLatencySubBucketBits) return static_cast<uint32_t>(us);
  uint32_t octave = static_cast<uint32_t>(std::bit_width(us)) - 1;
  if (octave > kLatencyOctaveMax) return kLatencyBuckets - 1;
  // The leading bit is the octave's; the three behind it say which eighth.
  uint32_t eighth =
      static_cast<uint32_t>(us >> (octave - kLatencySubBucketBits)) & ((1u << kLatencySubBucketBits) - 1);
  return ((octave - kLatencySubBucketBits + 1) << kLatencySubBucketBits) + eighth;
}

// kLatencyCells of u64, or nowhere. One thread at a time records: no locked instruction.
class LatencyHistogram {
 public:
  LatencyHistogram() = default;
  explicit LatencyHistogram(uint64_t* cells) : cells_(cells) {}

  explicit operator bool() const { return cells_ != nullptr; }

  // `datagrams` of them came in at `received_ns` and are read at `now_ns`, both CLOCK_REALTIME, which may
  // have been set back in between.
  void record(uint64_t received_ns, uint64_t now_ns, uint32_t datagrams) const {
    uint64_t ns = now_ns - std::min(received_ns, now_ns);
    add(latency_bucket(ns), datagrams);
    add(kLatencySum, ns * datagrams);
  }

 private:
  void add(uint32_t cell, uint64_t n) const {
    std::atomic_ref<uint64_t> count(cells_[cell]);
    count.store(count.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  uint64_t* cells_ = nullptr;
};

}  // namespace ksocket
