// The kernel's clocks in nanoseconds: clock_gettime(2).
#pragma once

#include <cstdint>
#include <ctime>

namespace ksocket {

// CLOCK_REALTIME: Unix time, that of SO_TIMESTAMPNS. CLOCK_MONOTONIC: for intervals.
inline uint64_t clock_ns(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Microseconds, for intervals.
inline uint64_t now_us() {
  return clock_ns(CLOCK_MONOTONIC) / 1000;
}

}  // namespace ksocket
