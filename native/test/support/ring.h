// A ring with its producer and its consumer, all in one thread.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "support/ring_memory.h"
#include "support/ring_reader.h"

namespace ksocket::test {

struct Ring {
  Ring(uint32_t slots, uint32_t arena_bytes) : buffers(slots, arena_bytes) {}

  // Pushes and publishes; -1 when there is no place, else where the payload lies.
  int64_t put(const std::string& data) {
    Descriptor* record = producer.push(static_cast<uint32_t>(data.size()));
    if (record == nullptr) return -1;
    std::memcpy(producer.payload(*record), data.data(), data.size());
    int64_t at = record->offset;
    producer.publish();
    return at;
  }
  int64_t put(uint32_t bytes, char fill = 'x') { return put(std::string(bytes, fill)); }

  bool wait_for_room(uint32_t bytes) {
    return producer.wait_for_room([&] { return producer.room(1, bytes) > 0; });
  }

  std::vector<std::string> take(uint32_t budget = RingReader::kNoLimit) {
    std::vector<std::string> out;
    consumer.drain(
        [&](const Descriptor&, std::span<const uint8_t> data) { out.emplace_back(data.begin(), data.end()); },
        budget);
    return out;
  }

  RingBuffers buffers;
  RxRing producer{buffers.memory()};
  RingReader consumer{buffers.memory()};
};

}  // namespace ksocket::test
