#include "core/answer/answers.h"

#include "core/base/clock.h"

namespace ksocket {

bool Answers::admits(const Address& source, std::span<const uint8_t> payload, uint32_t count,
                     LoopGuard::Kind kind) {
  if (loops_ == nullptr) return true;
  if (waiting_.empty()) loops_->begin(clock_ns(CLOCK_MONOTONIC_COARSE));
  return loops_->admits(source, payload, count, kind);
}

void Answers::add(const Address* to, uint32_t offset, uint32_t length, uint16_t segment_size) {
  Descriptor& answer = waiting_.emplace_back();
  if (to != nullptr) write_address(*to, &answer);
  answer.offset = offset;
  answer.length = length;
  answer.segment_size = segment_size;
}

void Answers::flush(const ResponderTools& tools, const uint8_t* base) {
  if (waiting_.empty()) return;
  if (!tools.flush.send(tools.engine, tx_, base, waiting_)) {
    uint64_t dropped = 0;
    for (const Descriptor& answer : waiting_) {
      if (answer.result == kResultDeferred) dropped += segments_of(answer.length, answer.segment_size);
    }
    tx_.counters.add_atomic(Counter::tx_dropped, dropped);
  }
  waiting_.clear();
}

}  // namespace ksocket
