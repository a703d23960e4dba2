#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace loadgen {

// Log-linear, as HDR histograms are: 128 steps in each power of two, so a value is off by less than 0.8 %.
class Histogram {
 public:
  Histogram() : buckets_(64 * kSteps) {}

  void record(uint64_t value) {
    buckets_[index_of(value)]++;
    count_++;
    if (value > max_) max_ = value;
  }
  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }

  // The upper edge of the bucket that holds the value at `percent`.
  uint64_t percentile(double percent) const {
    const double wanted = static_cast<double>(count_) * percent / 100;
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets_.size(); i++) {
      seen += buckets_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return upper_edge(i) < max_ ? upper_edge(i) : max_;
    }
    return max_;
  }

 private:
  static constexpr unsigned kStepBits = 7;
  static constexpr uint64_t kSteps = 1 << kStepBits;

  static size_t index_of(uint64_t value) {
    if (value < kSteps) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kStepBits - 1;
    return (shift + 1) * kSteps + ((value >> shift) - kSteps);
  }
  static uint64_t upper_edge(size_t index) {
    if (index < kSteps) return index;
    const size_t shift = index / kSteps - 1;
    return ((index % kSteps + kSteps + 1) << shift) - 1;
  }

  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace loadgen
