// Turns of receiving, one by one, with everything around them.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/endpoint/rx_turn.h"
#include "support/fake_engine.h"
#include "support/ring_memory.h"
#include "support/ring_reader.h"

namespace ksocket {

inline void PrintTo(RxTurn::Outcome outcome, std::ostream* out) {
  static const char* names[] = {"drained", "more", "ring_full", "dead"};
  *out << names[static_cast<int>(outcome)];
}

namespace test {

inline constexpr uint32_t kId = 5 | 3 << kSocketSlotBits;

struct Record {
  Descriptor descriptor;
  std::string data;
};

// Turns of receiving with one socket on the fake engine, and the ring's reader.
class RxRig {
 public:
  explicit RxRig(uint32_t slots = 256, uint32_t arena_bytes = 8 << 20)
      : buffers(slots, arena_bytes), ring(buffers.memory()), reader(buffers.memory()) {}

  int fd() const { return endpoint.fd.get(); }
  void arrive(const std::string& data, uint16_t port = 1000, uint16_t segment_size = 0) {
    engine.arrive(fd(), {data, address_of("127.0.0.1", port), segment_size, {}, 0});
  }
  void fail(int error) { engine.arrive(fd(), {"", {}, 0, {}, error}); }
  RxTurn::Outcome receive() { return turn.receive(endpoint); }
  std::vector<Record> take(uint32_t budget = RingReader::kNoLimit) {
    if (ring.has_unpublished()) ring.publish();
    std::vector<Record> out;
    reader.drain(
        [&](const Descriptor& d, std::span<const uint8_t> data) {
          out.push_back({d, {data.begin(), data.end()}});
        },
        budget);
    return out;
  }

  FakeEngine engine;
  RingBuffers buffers;
  CounterRow counters, thread_counters;
  RxRing ring;
  RingReader reader;
  PeerTable peers{64, 1};
  TxFlush flush;
  RxTurn turn{engine, ring, peers, flush, thread_counters};
  Endpoint endpoint{kId, 4, dummy_fd(), counters};
};

inline std::vector<std::string> data_of(const std::vector<Record>& records) {
  std::vector<std::string> out;
  for (const Record& record : records) out.push_back(record.data);
  return out;
}

}  // namespace test
}  // namespace ksocket
