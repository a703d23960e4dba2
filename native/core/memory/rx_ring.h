// The producer's half of the receive ring: one I/O thread writes, one JavaScript environment reads
// (lib/thread/receiver.ts is the other half, native/test/support/ring_reader.h its twin for the tests).
//
//   arena        | free | record t | record t+1 | … | record head-1 | free, or a tail too short to use |
//                        ^oldest_                                  ^write_
//
// Payloads lie back to back; one that does not fit before the arena's end goes to its start. Whenever the
// consumer has caught up, the producer starts again at slot 0 and byte 0, so that traffic the consumer keeps
// up with stays in cache instead of walking through megabytes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "core/memory/layout.h"

namespace ksocket {

struct RingMemory {
  RingControl* control = nullptr;
  Descriptor* descriptors = nullptr;
  uint32_t slots = 0;  // a power of two; enough for the datagrams of one cut super-datagram
  uint8_t* arena = nullptr;
  uint32_t arena_bytes = 0;
};

// `Atomic`: how it touches what both sides touch. std::atomic_ref; tests have one that steps and one that
// reorders.
template <template <typename> class Atomic>
class RxRingOn {
 public:
  explicit RxRingOn(const RingMemory& memory) : memory_(memory) {}

  // How many records of up to `bytes_each` are sure to fit, at most `wanted`.
  uint32_t room(uint32_t wanted, uint32_t bytes_each) {
    // Once a batch even when there is room without it: else a consumer that keeps up would go unnoticed until
    // the whole arena has been walked through.
    if (!tail_is_fresh_) look_at_tail();
    uint32_t n = room_cached(wanted, bytes_each);
    if (n == wanted) return n;
    look_at_tail();
    return room_cached(wanted, bytes_each);
  }

  // Of the arena, with what is unused in between and what has been consumed since the last look.
  bool holds_at_most(uint32_t bytes) {
    if (!tail_is_fresh_) look_at_tail();
    return head_ == tail_ || held_bytes() <= bytes;
  }

  // Is the ring so full that this socket has to leave the rest to others? Theirs is a quarter of it: they
  // wait for one whose listener is slow no longer than for another.
  bool yields(uint32_t socket_id) {
    if (cell(memory_.control->crowding).load(std::memory_order_relaxed) != socket_id) return false;
    if (!tail_is_fresh_) look_at_tail();
    if (!leaves_too_little()) return false;
    look_at_tail();  // it may be empty by now, and then nobody wakes a producer that waits
    return leaves_too_little();
  }

  // Places in a row, `stride` bytes apart, for payloads whose length only the kernel will know: at most
  // `wanted`, perhaps none where room() promised some (it counts both ends of the arena). Those that are used
  // become records with push_at(), in order.
  struct Places {
    uint32_t offset;
    uint32_t count;
  };
  Places places(uint32_t wanted, uint32_t stride) const {
    uint32_t end = head_ == tail_ || write_ >= oldest_ ? memory_.arena_bytes : oldest_ - 1;
    Places found{write_, (end - write_) / stride};
    if (found.count == 0 && end == memory_.arena_bytes) {
      uint32_t until = head_ == tail_ ? write_ : oldest_;
      found = {0, until > 0 ? (until - 1) / stride : 0};
    }
    found.count = std::min({found.count, wanted, memory_.slots - (head_ - tail_)});
    return found;
  }
  Descriptor* push_at(uint32_t offset, uint32_t length) {
    Descriptor* record = slot(head_);
    record->offset = offset;
    record->length = length;
    write_ = offset + length;
    if (head_ == tail_) oldest_ = offset;
    head_++;
    return record;
  }

  // Reserves a record and `length` contiguous bytes of the arena; null when it does not fit. The caller fills
  // in everything but offset and length. Nothing is visible before publish().
  Descriptor* push(uint32_t length) {
    if (head_ - tail_ >= memory_.slots) return nullptr;
    uint32_t at;
    return place(length, &at) ? push_at(at, length) : nullptr;
  }
  uint8_t* payload(const Descriptor& record) { return memory_.arena + record.offset; }
  uint8_t* arena() { return memory_.arena; }
  uint32_t arena_bytes() const { return memory_.arena_bytes; }
  uint32_t slot_of(const Descriptor& record) const {
    return static_cast<uint32_t>(&record - memory_.descriptors);
  }

  // The number of the record that was pushed last.
  uint32_t latest() const { return head_ - 1; }
  // The consumer's cursor: how many records it has consumed, modulo 2^32. From any thread.
  uint32_t consumed() const { return cell(memory_.control->tail).load(std::memory_order_relaxed); }
  bool consumer_caught_up() const { return consumed() == published_; }

  void set_thread_id(uint32_t id) { cell(memory_.control->thread_id).store(id, std::memory_order_relaxed); }

  bool has_unpublished() const { return head_ != published_; }

  // Makes the pushed records visible. True when the caller has to wake the consumer.
  bool publish() {
    published_ = head_;
    tail_is_fresh_ = false;
    cell(memory_.control->base).store(base_, std::memory_order_relaxed);
    // Both accesses are sequentially consistent: the consumer clears the flag, then reads the head. Either it
    // sees this head, or this exchange sees its cleared flag.
    cell(memory_.control->head).store(head_, std::memory_order_seq_cst);
    return cell(memory_.control->wake_pending).exchange(1, std::memory_order_seq_cst) == 0;
  }

  // Says that the producer sleeps until the consumer asks for more. False when `has_room`, which looks at
  // room(), finds some meanwhile (the consumer looks at the flag only after it has moved the tail, so one of
  // the two notices the other).
  template <typename HasRoom>
  bool wait_for_room(HasRoom&& has_room) {
    cell(memory_.control->producer_waiting).store(1, std::memory_order_seq_cst);
    if (!has_room()) return true;
    stop_waiting();
    return false;
  }
  void stop_waiting() { cell(memory_.control->producer_waiting).store(0, std::memory_order_relaxed); }

 private:
  static Atomic<uint32_t> cell(uint32_t& word) { return Atomic<uint32_t>(word); }
  Descriptor* slot(uint32_t n) { return &memory_.descriptors[(n - base_) & (memory_.slots - 1)]; }

  void look_at_tail() {
    tail_ = cell(memory_.control->tail).load(std::memory_order_seq_cst);
    tail_is_fresh_ = true;
    if (head_ == tail_) {
      start_over();
    } else {
      oldest_ = slot(tail_)->offset;
    }
  }

  // The ring is empty, with nothing unpublished: the consumer holds no record, so the mapping may change.
  void start_over() {
    base_ = head_;
    write_ = 0;
    oldest_ = 0;
  }

  // Less than a quarter?
  bool leaves_too_little() const {
    if (head_ == tail_) return false;
    return head_ - tail_ > memory_.slots / 4 * 3 || held_bytes() > memory_.arena_bytes / 4 * 3;
  }
  uint32_t held_bytes() const {
    return write_ >= oldest_ ? write_ - oldest_ : memory_.arena_bytes - oldest_ + write_;
  }

  uint32_t room_cached(uint32_t wanted, uint32_t bytes_each) const {
    uint32_t free_slots = memory_.slots - (head_ - tail_);
    uint32_t fits;
    if (head_ == tail_) {
      fits = memory_.arena_bytes / bytes_each;
    } else if (write_ >= oldest_) {
      fits = (memory_.arena_bytes - write_) / bytes_each + (oldest_ > 0 ? (oldest_ - 1) / bytes_each : 0);
    } else {
      fits = (oldest_ - write_ - 1) / bytes_each;
    }
    uint32_t n = fits < free_slots ? fits : free_slots;
    return n < wanted ? n : wanted;
  }

  // Finds `length` contiguous bytes; the write position never catches up with the oldest record from behind.
  bool place(uint32_t length, uint32_t* at) {
    if (head_ == tail_) {
      *at = length <= memory_.arena_bytes - write_ ? write_ : 0;
      return length <= memory_.arena_bytes;
    }
    if (write_ >= oldest_) {
      if (memory_.arena_bytes - write_ >= length) return *at = write_, true;
      return *at = 0, oldest_ > length;
    }
    return *at = write_, oldest_ - write_ > length;
  }

  RingMemory memory_;
  uint32_t head_ = 0;           // pushed
  uint32_t published_ = 0;      // visible to the consumer
  uint32_t tail_ = 0;           // the consumer's cursor when last looked at
  bool tail_is_fresh_ = false;  // looked at since the last publish()
  uint32_t base_ = 0;
  uint32_t write_ = 0;   // where the next payload goes
  uint32_t oldest_ = 0;  // where the oldest record's payload starts
};

using RxRing = RxRingOn<std::atomic_ref>;

}  // namespace ksocket
