// Is it worth to look at sockets once more after their listeners have run, before the loop sleeps? Where
// answers come back fast, or several clients ask at once, the next datagram is often there by then, and a
// wait (epoll_wait(2), and perhaps a sleep) is saved. Where it is not, each look is a call for nothing: after
// kPatience of those in a row the next 1, 3, 7, … chances are skipped.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ksocket {

enum class Look : uint8_t {
  nothing,
  found,    // JavaScript has to read the ring, nobody will wake it
  not_now,  // it has not read what came before, or the sockets are the thread's
};

class SecondLook {
 public:
  static constexpr uint32_t kPatience = 4;
  static constexpr uint32_t kSkippedMax = 127;

  bool pays() {
    if (skip_ == 0) return true;
    skip_--;
    return false;
  }
  void note(bool found) {
    if (found) {
      misses_ = backoff_ = 0;
    } else if (++misses_ >= kPatience) {
      backoff_ = std::min(backoff_ * 2 + 1, kSkippedMax);
      skip_ = backoff_;
    }
  }

 private:
  uint32_t misses_ = 0;  // in a row
  uint32_t backoff_ = 0;
  uint32_t skip_ = 0;
};

}  // namespace ksocket
