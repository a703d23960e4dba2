// UDP_GRO: the size of the datagrams that were joined. The kernel puts an int here; two bytes are taken as
// well, as a size cannot be longer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ksocket {

struct GroSegmentSize {
  static constexpr size_t kBytes = sizeof(int);

  static void read(const uint8_t* data, size_t bytes, uint16_t* out) {
    if (bytes >= sizeof(int)) {
      int size;
      std::memcpy(&size, data, sizeof size);
      *out = static_cast<uint16_t>(size);
    } else if (bytes >= sizeof *out) {
      std::memcpy(out, data, sizeof *out);
    }
  }
};

}  // namespace ksocket
