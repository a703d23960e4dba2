// The real receive ring, under every order of accesses and every stale value that C++ allows:
// KSOCKET_SCHEDULES of them from KSOCKET_SEED on. A failure names its seed; with KSOCKET_SCHEDULES=1 it comes
// again.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/memory/rx_ring.h"
#include "explore/weak_memory.h"
#include "support/ring_memory.h"
#include "support/ring_reader.h"

namespace ksocket::explore {
namespace {

using Producer = RxRingOn<Weak>;
using Consumer = test::RingReaderOn<Weak>;

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// An I/O thread and a reader, asleep whenever the other has to act; what they do otherwise is the seed's
// choice.
class Schedule {
 public:
  Schedule(Explorer& explorer, uint64_t seed) : explorer_(begun(explorer, seed)) {}

  // Empty, or what went wrong.
  std::string run() {
    explorer_.watch(memory_.descriptors, memory_.slots * sizeof(Descriptor));
    explorer_.watch(memory_.arena, memory_.arena_bytes);
    explorer_.start([this] { produce(); });
    explorer_.start([this] { consume(); });
    explorer_.run();
    if (!explorer_.failure().empty()) return explorer_.failure();
    if (!explorer_.ended(0)) return "the producer waits for room, and nobody will come";
    if (seen_ != pushed_) return "records wait, and nobody will come";
    return "";
  }

 private:
  static Explorer& begun(Explorer& explorer, uint64_t seed) {
    explorer.begin(seed);
    return explorer;
  }

  static constexpr uint32_t kSocket = 1;

  static uint8_t byte_of(uint32_t number, uint32_t at) {
    return static_cast<uint8_t>(number * 31 + at * 7 + 1);
  }

  // ---- the I/O thread: rounds of receiving, as RxTurn and IoThread use the ring

  void produce() {
    while (pushed_ < total_) {
      uint32_t wanted = 1 + explorer_.below(3);
      uint32_t room = drops_ ? wanted : room_for(wanted);
      if (room == 0) {
        wait();
      } else if (explorer_.below(3) == 0) {
        push_at_places(room);
      } else {
        for (uint32_t i = 0; i < room && pushed_ < total_; i++) push();
      }
      if (explorer_.below(3) > 0) publish();
    }
    publish();
  }

  // As RxTurn::room_for.
  uint32_t room_for(uint32_t wanted) { return ring_.yields(kSocket) ? 0 : ring_.room(wanted, bytes_max_); }

  void wait() {
    publish();
    if (ring_.wait_for_room([&] { return room_for(1) > 0; })) resume_.wait();
  }

  void publish() {
    if (ring_.has_unpublished() && ring_.publish()) wake_.set();
  }

  void push() {
    uint32_t length = explorer_.below(bytes_max_ + 1);
    // A socket that drops looks for room when the datagram is there, or does not look at all.
    bool fits = !drops_ || explorer_.below(2) == 0 || ring_.room(1, std::max(length, 1u)) > 0;
    Descriptor* record = fits ? ring_.push(length) : nullptr;
    if (record != nullptr) {
      fill(record, length);
    } else if (drops_) {
      total_--;
    } else {
      explorer_.fail("no room where room() promised some");
    }
  }

  void push_at_places(uint32_t wanted) {
    Producer::Places places = ring_.places(wanted, bytes_max_);
    for (uint32_t i = 0; i < places.count; i++) {  // the kernel writes there before it is known how much
      explorer_.note_write(ring_.arena() + places.offset + i * bytes_max_, bytes_max_);
    }
    for (uint32_t i = 0; i < places.count && pushed_ < total_; i++) {
      uint32_t length = explorer_.below(bytes_max_ + 1);
      fill(ring_.push_at(places.offset + i * bytes_max_, length), length);
    }
  }

  void fill(Descriptor* record, uint32_t length) {
    explorer_.note_write(record, sizeof *record);
    record->socket_id = pushed_;
    uint8_t* payload = ring_.payload(*record);
    if (length > 0) explorer_.note_write(payload, length);
    for (uint32_t i = 0; i < length; i++) payload[i] = byte_of(pushed_, i);
    pushed_++;
  }

  // ---- the reader: drains when woken, comes back by itself when its time was up

  void consume() {
    bool comes_back = false;
    for (;;) {
      if (comes_back) {
        wake_.take();
      } else {
        wake_.wait();
      }
      uint32_t budget = explorer_.below(3) == 0 ? 1 + explorer_.below(3) : Consumer::kNoLimit;
      reader_.run([&](const Descriptor& record, std::span<const uint8_t> payload) { see(record, payload); },
                  [&] { resume_.set(); }, [&] { return budget-- > 0; });
      comes_back = reader_.more();
    }
  }

  void see(const Descriptor& record, std::span<const uint8_t> payload) {
    if (seen_ == pushed_) explorer_.fail("a record that nobody has pushed");
    explorer_.note_read(&record, sizeof record);
    if (!payload.empty()) explorer_.note_read(payload.data(), payload.size());
    if (record.socket_id != seen_) explorer_.fail("a record that is not the next");
    for (uint32_t i = 0; i < payload.size(); i++) {
      if (payload[i] != byte_of(seen_, i)) explorer_.fail("a payload that is not the record's");
    }
    seen_++;
    // As the receiver does while sockets wait for each other.
    if (explorer_.below(4) == 0) {
      Weak<uint32_t>(memory_.control->crowding).store(explorer_.below(2) * kSocket);
    }
    // Records before this one go back while the reader works.
    if (explorer_.below(4) == 0) reader_.give_back([&] { resume_.set(); });
  }

  Explorer& explorer_;
  uint32_t bytes_max_ = 1 + explorer_.below(6);
  test::RingBuffers buffers_{1u << explorer_.below(4), bytes_max_ + explorer_.below(12)};
  RingMemory memory_ = buffers_.memory();
  bool drops_ = explorer_.below(4) == 0;
  uint32_t total_ = 1 + explorer_.below(8);
  uint32_t pushed_ = 0;
  uint32_t seen_ = 0;
  Producer ring_{memory_};
  Consumer reader_{memory_};
  Signal wake_, resume_;
};

TEST(RingExplored, loses_nothing_whatever_each_side_sees_late) {
  uint64_t first = from_environment("KSOCKET_SEED", 1);
  uint64_t schedules = from_environment("KSOCKET_SCHEDULES", 20'000);
  Explorer explorer;
  for (uint64_t seed = first; seed < first + schedules; seed++) {
    Schedule schedule(explorer, seed);
    std::string failure = schedule.run();
    ASSERT_EQ(failure, "") << "KSOCKET_SEED=" << seed << " KSOCKET_SCHEDULES=1";
  }
  std::printf("explored: %llu schedules, %llu accesses\n", static_cast<unsigned long long>(schedules),
              static_cast<unsigned long long>(explorer.accesses()));
}

}  // namespace
}  // namespace ksocket::explore
