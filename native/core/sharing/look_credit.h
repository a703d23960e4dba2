// Does it pay to look for the next event for a while, instead of sleeping until it comes? What is found saves
// a sleep, and whoever waits for it is served sooner: that is worth some time of looking. Time that was spent
// for more than that is lost. An account of both decides: overdrawn, the next 1, 3, 7, … chances are skipped,
// and only a full one makes that forgotten. So an exchange is looked for each time, and traffic of many who
// do not wait for each other is not, though a part of it is found.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ksocket {

class LookCredit {
 public:
  static constexpr uint32_t kSkippedMax = 127;
  // Looks in vain, in a row, that empty a full account.
  static constexpr uint32_t kPatience = 4;

  // How long it looks at most, and how much of that what is found is worth.
  LookCredit(uint64_t look_ns, uint64_t worth_ns)
      : look_ns_(look_ns),
        worth_ns_(static_cast<int64_t>(worth_ns)),
        most_ns_(static_cast<int64_t>(look_ns) * kPatience),
        credit_ns_(most_ns_) {}

  uint64_t look_ns() const { return look_ns_; }

  bool pays() {
    if (skip_ == 0) return true;
    skip_--;
    return false;
  }

  void note(bool found, uint64_t elapsed_ns) {
    int64_t spent_ns = static_cast<int64_t>(std::min<uint64_t>(elapsed_ns, most_ns_));
    credit_ns_ = std::min(credit_ns_ + (found ? worth_ns_ : 0) - spent_ns, most_ns_);
    if (credit_ns_ == most_ns_) backoff_ = 0;
    if (credit_ns_ >= 0) return;
    credit_ns_ = 0;
    backoff_ = std::min(backoff_ * 2 + 1, kSkippedMax);
    skip_ = backoff_;
  }

 private:
  const uint64_t look_ns_;
  const int64_t worth_ns_;
  const int64_t most_ns_;
  int64_t credit_ns_;
  uint32_t backoff_ = 0;
  uint32_t skip_ = 0;
};

}  // namespace ksocket
