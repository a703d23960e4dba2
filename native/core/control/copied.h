// A control message whose value is the field, as the kernel writes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ksocket {

template <typename Value>
struct Copied {
  static constexpr size_t kBytes = sizeof(Value);

  template <typename Field>
  static void read(const uint8_t* data, size_t bytes, Field* out) {
    if (bytes < sizeof(Value)) return;
    Value value;
    std::memcpy(&value, data, sizeof value);
    *out = static_cast<Field>(value);
  }
};

}  // namespace ksocket
