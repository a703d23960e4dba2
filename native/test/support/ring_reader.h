// The consumer's half of the receive ring: the twin of lib/thread/receiver.ts and returned-records.ts, step
// for step.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <span>

#include "core/memory/layout.h"
#include "core/memory/rx_ring.h"

namespace ksocket::test {

// `Atomic`: as the ring's.
template <template <typename> class Atomic>
class RingReaderOn {
 public:
  static constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();

  explicit RingReaderOn(const RingMemory& memory) : memory_(memory) {}

  struct Drained {
    uint32_t records = 0;
    bool resume = false;  // the producer waits: tell it that there is room
    bool more = false;    // the budget ended before the records did: come back without being woken
  };

  // Hands `see(descriptor, payload)` what has been published, at most `budget` records.
  template <typename See>
  Drained drain(See&& see, uint32_t budget = kNoLimit) {
    Drained out;
    run(
        see, [&] { out.resume = true; }, [&] { return out.records++ < budget; });
    out.records = std::min(out.records, budget);
    out.more = more_;
    return out;
  }

  // Receiver.run: `resume()` tells the producer that there is room, `may_go_on()` is asked before each
  // record.
  template <typename See, typename Resume, typename MayGoOn>
  void run(See&& see, Resume&& resume, MayGoOn&& may_go_on) {
    do {
      // Nobody has to wake us while there is something to read.
      cell(memory_.control->wake_pending).store(1);
      uint32_t head = cell(memory_.control->head).load();
      uint32_t base = cell(memory_.control->base).load(std::memory_order_relaxed);
      more_ = !consume(head, base, see, may_go_on);
      give_back(resume);
      if (more_) return;
      // Cleared before the head is looked at again: what is published from here on wakes us.
      cell(memory_.control->wake_pending).store(0);
    } while (cell(memory_.control->head).load() != tail_);
  }

  // ReturnedRecords.upTo: gives the consumed records back. The tail moves before the flag is looked at: the
  // producer does it the other way round, so one of the two notices the other. It is woken when an eighth of
  // what there was is consumed.
  template <typename Resume>
  void give_back(Resume&& resume) {
    if (cell(memory_.control->tail).load(std::memory_order_relaxed) == tail_) return;
    move_tail();
    if (cell(memory_.control->producer_waiting).load() == 0) {
      producer_waits_ = false;
      return;
    }
    uint32_t left = cell(memory_.control->head).load() - tail_;
    if (!producer_waits_) resume_at_ = tail_ + left / 8;
    producer_waits_ = true;
    if (left > 0 && static_cast<int32_t>(resume_at_ - tail_) > 0) return;
    producer_waits_ = false;
    if (take_producer_waiting()) resume();
  }

  // The two halves of give_back(), for tests that stop between them.
  void move_tail() { cell(memory_.control->tail).store(tail_); }
  bool take_producer_waiting() { return cell(memory_.control->producer_waiting).exchange(0) == 1; }
  // Steps over everything published without giving it back.
  void skip_all() {
    cell(memory_.control->wake_pending).store(0);
    tail_ = cell(memory_.control->head).load();
  }

  uint32_t tail() const { return tail_; }
  bool more() const { return more_; }

 private:
  static Atomic<uint32_t> cell(uint32_t& word) { return Atomic<uint32_t>(word); }

  // True when everything before `head` is consumed.
  template <typename See, typename MayGoOn>
  bool consume(uint32_t head, uint32_t base, See&& see, MayGoOn&& may_go_on) {
    for (; tail_ != head; tail_++) {
      if (!may_go_on()) return false;
      const Descriptor& record = memory_.descriptors[(tail_ - base) & (memory_.slots - 1)];
      see(record, std::span<const uint8_t>(memory_.arena + record.offset, record.length));
    }
    return true;
  }

  RingMemory memory_;
  uint32_t tail_ = 0;
  bool more_ = false;
  bool producer_waits_ = false;
  uint32_t resume_at_ = 0;  // a tail, while the producer waits
};

using RingReader = RingReaderOn<std::atomic_ref>;

}  // namespace ksocket::test
