#include "core/memory/rx_ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/build.h"
#include "support/ring_memory.h"
#include "support/ring_reader.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::RingBuffers;
using test::RingReader;

// A ring, its producer and its consumer, all in one thread.
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

TEST(RxRing, hands_over_records_in_order_with_their_payload) {
  Ring ring(8, 1024);
  for (const char* text : {"one", "two", "", "four"}) ASSERT_GE(ring.put(text), 0);
  EXPECT_EQ(ring.take(), (std::vector<std::string>{"one", "two", "", "four"}));
  EXPECT_TRUE(ring.take().empty());
}

TEST(RxRing, packs_payloads_back_to_back) {
  Ring ring(8, 1024);
  EXPECT_EQ(ring.put(100), 0);
  EXPECT_EQ(ring.put(1), 100);
  EXPECT_EQ(ring.put(64), 101);
}

TEST(RxRing, shows_nothing_before_it_is_published) {
  Ring ring(8, 1024);
  Descriptor* record = ring.producer.push(3);
  ASSERT_NE(record, nullptr);
  std::memcpy(ring.producer.payload(*record), "abc", 3);
  EXPECT_TRUE(ring.producer.has_unpublished());
  EXPECT_TRUE(ring.take().empty());
  ring.producer.publish();
  EXPECT_FALSE(ring.producer.has_unpublished());
  EXPECT_EQ(ring.take(), std::vector<std::string>{"abc"});
}

TEST(RxRing, asks_for_one_wake_up_until_the_consumer_comes) {
  Ring ring(8, 1024);
  ASSERT_NE(ring.producer.push(1), nullptr);
  EXPECT_TRUE(ring.producer.publish());
  ASSERT_NE(ring.producer.push(1), nullptr);
  EXPECT_FALSE(ring.producer.publish());
  ring.take();
  ASSERT_NE(ring.producer.push(1), nullptr);
  EXPECT_TRUE(ring.producer.publish());
}

TEST(RxRing, asks_for_no_wake_up_while_the_consumer_comes_back_by_itself) {
  Ring ring(8, 1024);
  ring.put("one");
  ring.put("two");
  EXPECT_EQ(ring.take(1), std::vector<std::string>{"one"});
  ASSERT_NE(ring.producer.push(0), nullptr);
  EXPECT_FALSE(ring.producer.publish());
  EXPECT_EQ(ring.take(), (std::vector<std::string>{"two", ""}));
}

TEST(RxRing, has_as_many_records_as_slots) {
  Ring ring(4, 1024);
  for (int i = 0; i < 4; i++) EXPECT_GE(ring.put(1), 0);
  EXPECT_EQ(ring.producer.room(4, 1), 0u);
  EXPECT_EQ(ring.put(1), -1);
  EXPECT_EQ(ring.take(1).size(), 1u);
  EXPECT_EQ(ring.producer.room(4, 1), 1u);
  EXPECT_GE(ring.put(1), 0);
  EXPECT_EQ(ring.put(1), -1);
}

TEST(RxRing, can_be_filled_to_the_last_byte) {
  Ring ring(8, 256);
  EXPECT_EQ(ring.producer.room(1, 256), 1u);
  EXPECT_EQ(ring.put(256, 'a'), 0);
  EXPECT_EQ(ring.producer.room(1, 1), 0u);
  EXPECT_EQ(ring.put(1), -1);
  EXPECT_EQ(ring.take(), std::vector<std::string>{std::string(256, 'a')});
  EXPECT_EQ(ring.producer.room(8, 32), 8u);
}

TEST(RxRing, refuses_a_record_longer_than_the_arena) {
  Ring ring(8, 256);
  EXPECT_EQ(ring.producer.room(1, 257), 0u);
  EXPECT_EQ(ring.put(257), -1);
  EXPECT_EQ(ring.put(256), 0);
}

TEST(RxRing, goes_to_the_start_of_the_arena_with_what_does_not_fit_at_its_end) {
  Ring ring(8, 100);
  EXPECT_EQ(ring.put(60, 'a'), 0);
  EXPECT_EQ(ring.put(30, 'b'), 60);
  EXPECT_EQ(ring.take(1).size(), 1u);
  ASSERT_EQ(ring.producer.room(1, 20), 1u);
  EXPECT_EQ(ring.put(20, 'c'), 0);  // ten bytes at the end are too few
  EXPECT_EQ(ring.put(20, 'd'), 20);
  EXPECT_EQ(ring.take(),
            (std::vector<std::string>{std::string(30, 'b'), std::string(20, 'c'), std::string(20, 'd')}));
}

TEST(RxRing, never_catches_up_with_the_oldest_record) {
  Ring ring(8, 100);
  ring.put(60, 'a');
  ring.put(30, 'b');
  ring.take(1);
  ASSERT_EQ(ring.producer.room(1, 59), 1u);
  // Sixty bytes would end where the oldest record starts: full would look like empty.
  EXPECT_EQ(ring.producer.room(1, 60), 0u);
  EXPECT_EQ(ring.put(60, 'c'), -1);
  EXPECT_EQ(ring.put(59, 'c'), 0);
  EXPECT_EQ(ring.put(1, 'd'), -1);
  EXPECT_EQ(ring.take(), (std::vector<std::string>{std::string(30, 'b'), std::string(59, 'c')}));
}

TEST(RxRing, takes_empty_records_even_when_the_arena_is_full) {
  Ring ring(8, 16);
  EXPECT_EQ(ring.put(16), 0);
  EXPECT_EQ(ring.put(0), 16);
  EXPECT_EQ(ring.put(0), 16);
  EXPECT_EQ(ring.put(1), -1);
  EXPECT_EQ(ring.take(2).size(), 2u);
  // The oldest record is now an empty one at the very end.
  ASSERT_EQ(ring.producer.room(1, 15), 1u);
  EXPECT_EQ(ring.put(15, 'y'), 0);
  EXPECT_EQ(ring.take(), (std::vector<std::string>{"", std::string(15, 'y')}));
}

TEST(RxRing, is_full_of_empty_records_when_its_slots_are) {
  Ring ring(16, 64);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 16; i++) ASSERT_EQ(ring.put(0), 0);
    EXPECT_EQ(ring.put(0), -1);
    EXPECT_EQ(ring.take().size(), 16u);
    EXPECT_EQ(ring.producer.room(16, 4), 16u);
  }
}

TEST(RxRing, carries_the_largest_super_datagram) {
  Ring ring(4, kDatagramBytesMax + 100);
  for (char fill : {'a', 'b', 'c'}) {
    ASSERT_EQ(ring.producer.room(1, kDatagramBytesMax), 1u);
    ASSERT_GE(ring.put(kDatagramBytesMax, fill), 0);
    EXPECT_EQ(ring.producer.room(1, kDatagramBytesMax), 0u);
    EXPECT_EQ(ring.take(), std::vector<std::string>{std::string(kDatagramBytesMax, fill)});
  }
}

TEST(RxRing, starts_over_at_the_front_whenever_the_consumer_has_caught_up) {
  Ring ring(8, 1024);
  for (uint32_t round = 0; round < 20; round++) {
    ASSERT_GT(ring.producer.room(3, 100), 0u);
    EXPECT_EQ(ring.put(100), 0) << "round " << round;
    EXPECT_EQ(ring.put(50), 100);
    EXPECT_EQ(ring.put(0), 150);
    EXPECT_EQ(ring.buffers.control().base, round * 3);
    EXPECT_EQ(ring.buffers.control().head, round * 3 + 3);
    EXPECT_EQ(ring.take().size(), 3u);
  }
}

TEST(RxRing, does_not_start_over_under_a_consumer_that_is_behind) {
  Ring ring(4, 64);
  ring.put("one");
  ring.put("two");
  ring.take(1);
  ASSERT_GT(ring.producer.room(1, 8), 0u);
  EXPECT_EQ(ring.put("three"), 6);
  EXPECT_EQ(ring.buffers.control().base, 0u);
  EXPECT_EQ(ring.take(), (std::vector<std::string>{"two", "three"}));
}

TEST(RxRing, reports_no_more_room_than_was_asked_for) {
  Ring ring(64, 4096);
  EXPECT_EQ(ring.producer.room(3, 1), 3u);
  EXPECT_EQ(ring.producer.room(64, 1), 64u);
  EXPECT_EQ(ring.producer.room(1000, 1), 64u);
  EXPECT_EQ(ring.producer.room(64, 1000), 4u);
  EXPECT_EQ(ring.producer.room(64, 4096), 1u);
}

TEST(RxRing, waits_for_room_only_while_there_is_none) {
  Ring ring(2, 64);
  ring.put("a");
  EXPECT_FALSE(ring.wait_for_room(8));
  EXPECT_EQ(ring.buffers.control().producer_waiting, 0u);
  ring.put("b");
  EXPECT_TRUE(ring.wait_for_room(8));
  EXPECT_EQ(ring.buffers.control().producer_waiting, 1u);

  auto ignore = [](const Descriptor&, std::span<const uint8_t>) {};
  EXPECT_TRUE(ring.consumer.drain(ignore, 1).resume);
  EXPECT_FALSE(ring.consumer.drain(ignore, 1).resume);  // asked once, told once
  EXPECT_EQ(ring.producer.room(2, 8), 2u);
}

TEST(RxRing, notices_room_that_turned_up_before_it_went_to_sleep) {
  Ring ring(1, 64);
  ring.put("a");
  EXPECT_EQ(ring.producer.room(1, 8), 0u);
  ring.take();
  EXPECT_FALSE(ring.wait_for_room(8));
  EXPECT_EQ(ring.put("b"), 0);
}

// Whatever has happened to the ring before: room() says n, then any n records of up to that size fit, and
// none of them damages a record that is still to be read.
TEST(RxRing, keeps_the_promise_of_room_for_all_sizes) {
  for (uint32_t seed = 0; seed < 300; seed++) {
    std::mt19937 random(seed);
    auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    uint32_t slots = 1u << below(7);
    uint32_t arena_bytes = 1 + below(2000);
    Ring ring(slots, arena_bytes);
    std::deque<std::string> expected;
    uint32_t number = 0;

    for (int step = 0; step < 400; step++) {
      uint32_t each = 1 + below(below(4) == 0 ? arena_bytes : 1 + arena_bytes / 8);
      uint32_t wanted = 1 + below(slots + 4);
      uint32_t room = ring.producer.room(wanted, each);
      ASSERT_LE(room, wanted);
      if (expected.empty()) {
        ASSERT_EQ(room, std::min({wanted, slots, arena_bytes / each})) << "an empty ring has all its room";
      }
      uint32_t used = below(room + 1);
      for (uint32_t i = 0; i < used; i++) {
        uint32_t bytes = below(3) == 0 ? each : below(each + 1);
        std::string data(bytes, '\0');
        for (char& c : data) c = static_cast<char>(number++);
        ASSERT_GE(ring.put(data), 0) << "seed " << seed << ", step " << step << ", record " << i << " of "
                                     << room;
        expected.push_back(std::move(data));
      }
      // Beyond the promise records may fit or not, but must do no harm either.
      if (below(4) == 0) {
        std::string data(below(arena_bytes + 2), 'z');
        if (ring.put(data) >= 0) expected.push_back(std::move(data));
      }
      for (const std::string& data : ring.take(below(3) == 0 ? RingReader::kNoLimit : below(slots + 1))) {
        ASSERT_FALSE(expected.empty());
        ASSERT_EQ(data, expected.front()) << "seed " << seed << ", step " << step;
        expected.pop_front();
      }
      ASSERT_LE(expected.size(), slots);
    }
  }
}

// Places for payloads of unknown length: wherever the ring stands, they lie free and apart, and records made
// of them (of any length, or none) mix with others.
TEST(RxRing, offers_places_that_harm_nothing) {
  for (uint32_t seed = 0; seed < 300; seed++) {
    std::mt19937 random(seed);
    auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    uint32_t slots = 1u << below(7);
    uint32_t arena_bytes = 1 + below(2000);
    Ring ring(slots, arena_bytes);
    std::deque<std::string> expected;
    uint32_t number = 0;
    for (int step = 0; step < 400; step++) {
      uint32_t stride = 1 + below(below(4) == 0 ? arena_bytes : 1 + arena_bytes / 8);
      uint32_t wanted = 1 + below(8);
      ring.producer.room(wanted, stride);  // as the receive loop does
      RxRing::Places places = ring.producer.places(wanted, stride);
      ASSERT_LE(places.count, wanted);
      if (expected.empty()) {
        ASSERT_EQ(places.count, std::min({wanted, slots, arena_bytes / stride}));
      }
      // The kernel may write anything there.
      std::memset(ring.producer.arena() + places.offset, 0xee, size_t{places.count} * stride);
      for (uint32_t i = 0, used = below(places.count + 1); i < used; i++) {
        uint32_t offset = places.offset + i * stride;
        std::string data(below(stride + 1), '\0');
        for (char& c : data) c = static_cast<char>(number++);
        std::memcpy(ring.producer.arena() + offset, data.data(), data.size());
        Descriptor* record = ring.producer.push_at(offset, static_cast<uint32_t>(data.size()));
        ASSERT_EQ(ring.producer.payload(*record), ring.producer.arena() + offset);
        expected.push_back(std::move(data));
      }
      ring.producer.publish();
      if (below(2) == 0) {
        std::string data(below(1 + arena_bytes / 4), 'p');
        if (ring.put(data) >= 0) expected.push_back(std::move(data));
      }
      for (const std::string& data : ring.take(below(3) == 0 ? RingReader::kNoLimit : below(slots + 1))) {
        ASSERT_FALSE(expected.empty());
        ASSERT_EQ(data, expected.front()) << "seed " << seed << ", step " << step;
        expected.pop_front();
      }
      ASSERT_LE(expected.size(), slots);
    }
  }
}

// ---- two threads

constexpr uint32_t kRecords = test::kThreadSanitizer ? 1'000'000 : 5'000'000;

uint8_t byte_of(uint32_t record, uint32_t at) {
  return static_cast<uint8_t>(record * 31 + at * 7);
}
uint32_t length_of(uint32_t record) {
  return record % 1024 == 0 ? 1500 : (record * 2654435761u >> 16) % 48;
}

void write_record(RxRing& ring, uint32_t number) {
  uint32_t length = length_of(number);
  Descriptor* record = ring.push(length);
  ASSERT_NE(record, nullptr);
  uint8_t* data = ring.payload(*record);
  for (uint32_t i = 0; i < length; i++) data[i] = byte_of(number, i);
  record->socket_id = number;
}

// True when the record is the one whose turn it is, to the last byte.
bool check_record(uint32_t number, const Descriptor& record, std::span<const uint8_t> data) {
  if (record.socket_id != number || data.size() != length_of(number)) return false;
  for (uint32_t i = 0; i < data.size(); i++) {
    if (data[i] != byte_of(number, i)) return false;
  }
  return true;
}

TEST(RxRing, carries_millions_of_records_between_two_spinning_threads) {
  RingBuffers buffers(256, 16 * 1024);
  std::thread producer([&] {
    RxRing ring(buffers.memory());
    for (uint32_t next = 0; next < kRecords;) {
      uint32_t room = ring.room(32, 1500);
      if (room == 0) std::this_thread::yield();
      for (uint32_t end = std::min(next + room, kRecords); next < end; next++) write_record(ring, next);
      if (ring.has_unpublished()) ring.publish();
    }
  });
  RingReader reader(buffers.memory());
  uint32_t seen = 0, damaged = 0;
  while (seen < kRecords) {
    auto drained = reader.drain([&](const Descriptor& record, std::span<const uint8_t> data) {
      if (!check_record(seen, record, data)) damaged++;
      seen++;
    });
    if (drained.records == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_EQ(damaged, 0u);
  EXPECT_EQ(reader.tail(), kRecords);
}

// The same with both sides asleep whenever the other has to act: one lost wake-up and this does not end.
TEST(RxRing, carries_millions_of_records_between_two_sleeping_threads) {
  RingBuffers buffers(64, 8 * 1024);
  test::Bell wake, resume;
  constexpr uint32_t kTotal = kRecords / 4;
  bool producer_starved = false;
  std::thread producer([&] {
    RxRing ring(buffers.memory());
    for (uint32_t next = 0; next < kTotal;) {
      uint32_t room = ring.room(16, 1500);
      if (room == 0) {
        if (ring.wait_for_room([&] { return ring.room(1, 1500) > 0; }) && !resume.wait()) {
          producer_starved = true;
          return;
        }
        continue;
      }
      for (uint32_t end = std::min(next + room, kTotal); next < end; next++) write_record(ring, next);
      if (ring.publish()) wake.ring();
    }
  });
  RingReader reader(buffers.memory());
  uint32_t seen = 0, damaged = 0;
  bool woken = true;
  while (seen < kTotal && (woken = wake.wait())) {
    // Every third drain ends early and comes back by itself, as the receiver does when its budget is used up.
    for (bool more = true; more;) {
      auto drained = reader.drain(
          [&](const Descriptor& record, std::span<const uint8_t> data) {
            if (!check_record(seen, record, data)) damaged++;
            seen++;
          },
          seen % 3 == 0 ? 5 : RingReader::kNoLimit);
      if (drained.resume) resume.ring();
      more = drained.more;
    }
  }
  producer.join();
  EXPECT_TRUE(woken) << "the consumer was not woken after record " << seen;
  EXPECT_FALSE(producer_starved) << "the producer was not resumed";
  EXPECT_EQ(seen, kTotal);
  EXPECT_EQ(damaged, 0u);
}

}  // namespace
}  // namespace ksocket
