// IP_TOS, a byte, and IPV6_TCLASS, an int: DSCP and ECN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/memory/layout.h"

namespace ksocket {

template <typename Value>
struct TrafficClass {
  static constexpr size_t kBytes = sizeof(Value);

  static void read(const uint8_t* data, size_t bytes, uint16_t* out) {
    if (bytes < sizeof(Value)) return;
    Value value;
    std::memcpy(&value, data, sizeof value);
    *out = static_cast<uint16_t>(kTosSaid | (value & 0xff));
  }
};

}  // namespace ksocket
