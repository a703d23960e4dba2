#include "core/answer/answers.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/clock.h"

namespace ksocket {

bool Answers::admits(const Address& source, std::span<const uint8_t> payload, uint32_t count,
                     LoopGuard::Kind kind) {
  if (loops_ == nullptr) return true;
  if (waiting_.empty()) loops_->begin(clock_ns(CLOCK_MONOTONIC_COARSE));
  bool admitted = loops_->admits(source, payload, count, kind);
  // An echo says what was asked: that has been looked at.
  if (admitted && kind == LoopGuard::Kind::reply && loops_->listens()) tells_ = true;
  return admitted;
}

void Answers::add(const Address* to, uint32_t offset, uint32_t length, uint16_t segment_size,
                  const PacketInfo* asked) {
  Descriptor& answer = waiting_.emplace_back();
  Source source;
  if (asked != nullptr && answer_source(*asked, &source) && sources_.size() < UINT16_MAX) {
    if (sources_.empty() || std::memcmp(&sources_.back(), &source, sizeof source) != 0)
      sources_.push_back(source);
    answer.flags = kSaysMore;
    answer.source = static_cast<uint16_t>(sources_.size());
  }
  if (to != nullptr) write_address(*to, &answer);
  answer.offset = offset;
  answer.length = length;
  answer.segment_size = segment_size;
}

void Answers::flush(const ResponderTools& tools, const uint8_t* base) {
  if (waiting_.empty()) return;
  if (std::exchange(tells_, false)) {
    for (const Descriptor& answer : waiting_) {
      uint32_t length = first_length(answer.length, answer.segment_size);
      loops_->said(read_address(answer), {base + answer.offset, length});
    }
  }
  if (!tools.flush.send(tools.engine, tx_, base, waiting_, sources_)) drop_deferred(tools, base);
  waiting_.clear();
  sources_.clear();
}

// What is refused for want of memory, ENOBUFS, may be too large for it: that says nothing of those behind.
void Answers::drop_deferred(const ResponderTools& tools, const uint8_t* base) {
  uint64_t dropped = 0;
  for (Descriptor& answer : waiting_) {
    if (answer.result != kResultDeferred) continue;
    bool full = tools.flush.blocked_by() == EAGAIN;
    if (full || !tools.flush.send(tools.engine, tx_, base, {&answer, 1}, sources_)) {
      dropped += segments_of(answer.length, answer.segment_size);
    }
  }
  tx_.counters.add_atomic(Counter::tx_dropped, dropped);
}

}  // namespace ksocket
