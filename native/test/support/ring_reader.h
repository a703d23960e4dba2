// The consumer's half of the receive ring: the twin of lib/thread/receiver.ts, step for step.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <span>

#include "core/memory/layout.h"
#include "core/memory/rx_ring.h"

namespace ksocket::test {

class RingReader {
 public:
  static constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();

  explicit RingReader(const RingMemory& memory) : memory_(memory) {}

  struct Drained {
    uint32_t records = 0;
    bool resume = false;  // the producer waits: tell it that there is room
    bool more = false;    // the budget ended before the records did: come back without being woken
  };

  // Hands `see(descriptor, payload)` what has been published, at most `budget` records.
  template <typename See>
  Drained drain(See&& see, uint32_t budget = kNoLimit) {
    // Cleared before the head is read: what is published from here on wakes us again.
    cell(memory_.control->wake_pending).store(0);
    uint32_t head = cell(memory_.control->head).load();
    uint32_t base = cell(memory_.control->base).load(std::memory_order_relaxed);
    Drained out;
    for (; tail_ != head && out.records < budget; tail_++, out.records++) {
      const Descriptor& record = memory_.descriptors[(tail_ - base) & (memory_.slots - 1)];
      see(record, std::span<const uint8_t>(memory_.arena + record.offset, record.length));
    }
    out.resume = release();
    out.more = tail_ != head;
    // No need to be woken for what is published meanwhile either.
    if (out.more) cell(memory_.control->wake_pending).store(1);
    return out;
  }

  // Moves the shared tail without looking at producer_waiting: the first half of release(), for tests that
  // stop between the two.
  void move_tail() { cell(memory_.control->tail).store(tail_); }
  bool take_producer_waiting() { return cell(memory_.control->producer_waiting).exchange(0) == 1; }
  // Steps over everything published without giving it back.
  void skip_all() {
    cell(memory_.control->wake_pending).store(0);
    tail_ = cell(memory_.control->head).load();
  }

  uint32_t tail() const { return tail_; }

 private:
  static std::atomic_ref<uint32_t> cell(uint32_t& word) { return std::atomic_ref<uint32_t>(word); }

  // Gives the consumed records back. The tail moves before the flag is looked at: the producer does it the
  // other way round, so one of the two notices the other. It is woken when an eighth of what there was is
  // consumed.
  bool release() {
    if (cell(memory_.control->tail).load(std::memory_order_relaxed) == tail_) return false;
    move_tail();
    if (cell(memory_.control->producer_waiting).load() == 0) {
      producer_waits_ = false;
      return false;
    }
    uint32_t left = cell(memory_.control->head).load() - tail_;
    if (!producer_waits_) resume_at_ = tail_ + left / 8;
    producer_waits_ = true;
    if (left > 0 && static_cast<int32_t>(resume_at_ - tail_) > 0) return false;
    producer_waits_ = false;
    return take_producer_waiting();
  }

  RingMemory memory_;
  uint32_t tail_ = 0;
  bool producer_waits_ = false;
  uint32_t resume_at_ = 0;  // a tail, while the producer waits
};

}  // namespace ksocket::test
