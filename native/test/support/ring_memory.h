// Shared memory as JavaScript allocates it, filled with junk: what the native side does not write shows.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "core/memory/counters.h"
#include "core/memory/layout.h"
#include "core/memory/rx_ring.h"

namespace ksocket::test {

class RingBuffers {
 public:
  RingBuffers(uint32_t slots, uint32_t arena_bytes)
      : descriptors_(slots), arena_(new uint8_t[arena_bytes]), arena_bytes_(arena_bytes) {
    std::memset(static_cast<void*>(descriptors_.data()), 0xa5, slots * sizeof(Descriptor));
    std::memset(arena_.get(), 0xa5, arena_bytes);
  }

  RingMemory memory() {
    return {&control_, descriptors_.data(), static_cast<uint32_t>(descriptors_.size()), arena_.get(),
            arena_bytes_};
  }
  RingControl& control() { return control_; }

 private:
  RingControl control_{};
  std::vector<Descriptor> descriptors_;
  // On the heap and exactly as long as asked for: AddressSanitizer sees the first byte behind it.
  std::unique_ptr<uint8_t[]> arena_;
  uint32_t arena_bytes_;
};

// A row of counters.
class CounterRow {
 public:
  operator Counters() { return Counters(row_); }
  uint64_t operator[](Counter counter) { return Counters(row_).get(counter); }

 private:
  alignas(64) uint64_t row_[kCountersPerRow] = {};
};

}  // namespace ksocket::test
