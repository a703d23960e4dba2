// When the I/O thread, which has woken the event loop and has more to receive, lets others run first.
//
// A loop that does not begin to read within a moment may wait for our processor, where the kernel has put it
// behind us (bridge/bell.h), and would get it when our time slice ends; its timers are late by that. Once a
// wake-up, or a thread beside other programs would give way for a slice of theirs after each round. And not
// where shards have threads of their own: the others', and who sends to them, would run instead of the loop.
#pragma once

#include <cstdint>

#include "core/base/clock.h"
#include "core/sharing/limits.h"

namespace ksocket {

class StepAside {
 public:
  // The loop receives, too, as it does not from shards.
  void enable() { enabled_ = true; }
  // The loop was woken. `consumed`: JavaScript's cursor.
  void on_wake(uint32_t consumed) {
    if (!enabled_) return;
    woken_ = true;
    consumed_ = consumed;
    since_ns_ = clock_ns(CLOCK_MONOTONIC);
  }

  // After a round. True: sched_yield(2).
  bool is_due(uint32_t consumed) {
    if (!woken_) return false;
    bool began = consumed != consumed_;
    if (!began && clock_ns(CLOCK_MONOTONIC) - since_ns_ < kLimits.loop_late_ns) return false;
    woken_ = false;
    return !began;
  }

 private:
  bool enabled_ = false;
  bool woken_ = false;
  uint32_t consumed_ = 0;
  uint64_t since_ns_ = 0;
};

}  // namespace ksocket
