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

// Sleeps so long, less where a signal comes: nanosleep(2).
inline void sleep_ns(uint64_t duration_ns) {
  timespec duration{static_cast<time_t>(duration_ns / 1'000'000'000),
                    static_cast<long>(duration_ns % 1'000'000'000)};
  nanosleep(&duration, nullptr);
}

}  // namespace ksocket
