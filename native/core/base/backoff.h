// Waits that double: for what is refused now and may not be later.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ksocket {

class Backoff {
 public:
  static constexpr uint64_t kFirstNs = 1'000'000;

  // How long to wait this time, at most `max_ns`.
  uint64_t next_ns(uint64_t max_ns) {
    next_ns_ = std::min(next_ns_ == 0 ? kFirstNs : 2 * next_ns_, max_ns);
    return next_ns_;
  }
  void reset() { next_ns_ = 0; }

 private:
  uint64_t next_ns_ = 0;
};

}  // namespace ksocket
