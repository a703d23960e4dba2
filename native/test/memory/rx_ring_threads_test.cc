// The receive ring between two threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "core/memory/rx_ring.h"
#include "support/build.h"
#include "support/ring_memory.h"
#include "support/ring_reader.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::RingBuffers;
using test::RingReader;

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
