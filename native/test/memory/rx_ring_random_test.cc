// The receive ring under random use: whatever has happened to it before, it keeps its promises, and no record
// that is still to be read is damaged.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>
#include <string>

#include "core/memory/rx_ring.h"
#include "support/ring.h"

namespace ksocket {
namespace {

using test::Ring;
using test::RingReader;

constexpr uint32_t kSeeds = 300;
constexpr int kSteps = 400;

// A small ring, and what its consumer has to find in it.
struct RandomUse {
  explicit RandomUse(uint32_t seed)
      : random(seed), slots(1u << below(7)), arena_bytes(1 + below(2000)), ring(slots, arena_bytes) {}

  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random() % n); }
  // Mostly small, at times as long as the arena.
  uint32_t record_bytes() { return 1 + below(below(4) == 0 ? arena_bytes : 1 + arena_bytes / 8); }
  // No two records have the same content.
  std::string data(uint32_t bytes) {
    std::string out(bytes, '\0');
    for (char& c : out) c = static_cast<char>(number++);
    return out;
  }
  // Records that may fit or not, but must do no harm.
  void put_if_it_fits(const std::string& record) {
    if (ring.put(record) >= 0) expected.push_back(record);
  }
  // The consumer takes all there is, or some.
  void take() {
    for (const std::string& record : ring.take(below(3) == 0 ? RingReader::kNoLimit : below(slots + 1))) {
      ASSERT_FALSE(expected.empty());
      ASSERT_EQ(record, expected.front());
      expected.pop_front();
    }
    ASSERT_LE(expected.size(), slots);
  }

  std::mt19937 random;
  uint32_t slots;
  uint32_t arena_bytes;
  Ring ring;
  std::deque<std::string> expected;
  uint32_t number = 0;
};

// room() says n: then any n records of up to that size fit.
TEST(RxRing, keeps_the_promise_of_room_for_all_sizes) {
  for (uint32_t seed = 0; seed < kSeeds; seed++) {
    RandomUse use(seed);
    for (int step = 0; step < kSteps; step++) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
      uint32_t each = use.record_bytes();
      uint32_t wanted = 1 + use.below(use.slots + 4);
      uint32_t room = use.ring.producer.room(wanted, each);
      ASSERT_LE(room, wanted);
      if (use.expected.empty()) {
        ASSERT_EQ(room, std::min({wanted, use.slots, use.arena_bytes / each}))
            << "an empty ring has all its room";
      }
      uint32_t used = use.below(room + 1);
      for (uint32_t i = 0; i < used; i++) {
        std::string data = use.data(use.below(3) == 0 ? each : use.below(each + 1));
        ASSERT_GE(use.ring.put(data), 0) << "record " << i << " of " << room;
        use.expected.push_back(data);
      }
      // Beyond the promise.
      if (use.below(4) == 0) use.put_if_it_fits(std::string(use.below(use.arena_bytes + 2), 'z'));
      ASSERT_NO_FATAL_FAILURE(use.take());
    }
  }
}

// Places for payloads of unknown length: wherever the ring stands, they lie free and apart, and records made
// of them (of any length, or none) mix with others.
TEST(RxRing, offers_places_that_harm_nothing) {
  for (uint32_t seed = 0; seed < kSeeds; seed++) {
    RandomUse use(seed);
    RxRing& producer = use.ring.producer;
    for (int step = 0; step < kSteps; step++) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
      uint32_t stride = use.record_bytes();
      uint32_t wanted = 1 + use.below(8);
      producer.room(wanted, stride);  // as the receive loop does
      RxRing::Places places = producer.places(wanted, stride);
      ASSERT_LE(places.count, wanted);
      if (use.expected.empty()) {
        ASSERT_EQ(places.count, std::min({wanted, use.slots, use.arena_bytes / stride}));
      }
      // The kernel may write anything there.
      std::memset(producer.arena() + places.offset, 0xee, size_t{places.count} * stride);
      for (uint32_t i = 0, used = use.below(places.count + 1); i < used; i++) {
        uint32_t offset = places.offset + i * stride;
        std::string data = use.data(use.below(stride + 1));
        std::memcpy(producer.arena() + offset, data.data(), data.size());
        Descriptor* record = producer.push_at(offset, static_cast<uint32_t>(data.size()));
        ASSERT_EQ(producer.payload(*record), producer.arena() + offset);
        use.expected.push_back(data);
      }
      producer.publish();
      if (use.below(2) == 0) use.put_if_it_fits(std::string(use.below(1 + use.arena_bytes / 4), 'p'));
      ASSERT_NO_FATAL_FAILURE(use.take());
    }
  }
}

}  // namespace
}  // namespace ksocket
