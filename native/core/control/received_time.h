// SO_TIMESTAMPNS: when the kernel received the datagram, as nanoseconds of CLOCK_REALTIME.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>

namespace ksocket {

struct ReceivedTime {
  static constexpr size_t kBytes = sizeof(timespec);

  static void read(const uint8_t* data, size_t bytes, uint64_t* out) {
    if (bytes < sizeof(timespec)) return;
    timespec time;
    std::memcpy(&time, data, sizeof time);
    *out = static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
  }
};

}  // namespace ksocket
