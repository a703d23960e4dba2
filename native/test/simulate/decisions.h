// What decides everything in a simulation: numbers from a seed, or numbers that somebody chose (a fuzzer, a
// shrinker). When those are used up all decisions are 0, which is what a kind kernel and a quick program do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ksocket::simulate {

class Decisions {
 public:
  explicit Decisions(uint64_t seed) : seeded_(true), state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  explicit Decisions(std::vector<uint16_t> chosen) : chosen_(std::move(chosen)) {}

  // A number below `n`.
  uint32_t below(uint32_t n) {
    if (n <= 1 || ended_) return 0;
    if (!seeded_) return at_ < chosen_.size() ? chosen_[at_++] % n : 0;
    uint32_t value = static_cast<uint32_t>(next() % n);
    taken_.push_back(static_cast<uint16_t>(value));
    return value;
  }
  // What is rare: once in `n` times.
  bool once_in(uint32_t n) { return below(n) == n - 1 && n > 1; }
  uint32_t between(uint32_t low, uint32_t high) { return low + below(high - low + 1); }
  template <typename T, size_t N>
  const T& one_of(const T (&all)[N]) {
    return all[below(N)];
  }

  // From now on all are 0.
  void end() { ended_ = true; }
  bool used_up() const { return ended_ || (!seeded_ && at_ >= chosen_.size()); }
  // Those of a seed up to now.
  const std::vector<uint16_t>& taken() const { return taken_; }

 private:
  // splitmix64
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  const bool seeded_ = false;
  uint64_t state_ = 0;
  const std::vector<uint16_t> chosen_;
  size_t at_ = 0;
  std::vector<uint16_t> taken_;
  bool ended_ = false;
};

// What happens now and then, once in `mean` times: decided is when it next does, not each time whether it
// does.
class NowAndThen {
 public:
  explicit NowAndThen(uint32_t mean) : mean_(mean) {}

  bool happens(Decisions& decisions) {
    if (mean_ == 0) return false;
    if (left_ == 0) {
      uint32_t next = decisions.below(2 * mean_);
      left_ = next == 0 ? kLong : next;
    }
    return --left_ == 0;
  }

 private:
  static constexpr uint32_t kLong = 1000;

  uint32_t mean_;  // 0: never
  uint32_t left_ = 0;
};

}  // namespace ksocket::simulate
