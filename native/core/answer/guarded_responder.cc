#include "core/answer/guarded_responder.h"

#include <algorithm>
#include <utility>

#include "core/base/clock.h"
#include "core/base/hash.h"

namespace ksocket {

GuardedResponder::GuardedResponder(Options options, std::unique_ptr<Responder> inner, Counters counters)
    : options_(std::make_unique<Options>(std::move(options))), inner_(std::move(inner)), counters_(counters) {
  make_per_source();
  make_total();
  admitted_.reserve(RxBatch::kSlots);
}

void GuardedResponder::make_per_source() {
  per_source_.reset();
  if (options_->per_source) per_source_.emplace(*options_->per_source, options_->sources, random_seed());
}

void GuardedResponder::make_total() {
  total_.reset();
  if (options_->total) total_.emplace(*options_->total);
}

void GuardedResponder::update(std::unique_ptr<Options>& options) {
  options_.swap(options);
  bool same = options_->per_source == options->per_source && options_->sources == options->sources;
  if (!same) make_per_source();
  if (options_->total != options->total) make_total();
}

bool GuardedResponder::refuses(const Address& source) const {
  return options_->deny.contains(source) || (options_->allow && !options_->allow->contains(source));
}

// How many of the datagrams of a super-datagram, the first ones, may come in.
uint32_t GuardedResponder::pass(const Incoming& incoming, uint64_t now_ns) {
  uint32_t count = segments_of(incoming.length, incoming.segment_size);
  if (refuses(incoming.from)) {
    counters_.add(Counter::denied, count);
    return 0;
  }
  uint32_t left = count;
  if (per_source_) {
    left = per_source_->take(incoming.from, now_ns, count);
    counters_.add(Counter::limited, count - left);
  }
  if (!total_ || left == 0) return left;
  uint32_t passed = total_->take(now_ns, left);
  counters_.add(Counter::limited_total, left - passed);
  return passed;
}

std::span<const Incoming> GuardedResponder::answer(const ResponderTools& tools, const uint8_t* base,
                                                   std::span<const Incoming> batch) {
  uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
  admitted_.clear();
  for (Incoming incoming : batch) {
    uint32_t passed = pass(incoming, now_ns);
    if (passed == 0) continue;
    if (incoming.segment_size != 0) {
      incoming.length = std::min(incoming.length, passed * incoming.segment_size);
      if (passed == 1) incoming.segment_size = 0;
    }
    admitted_.push_back(incoming);
  }
  if (!inner_) return admitted_;
  return admitted_.empty() ? std::span<const Incoming>() : inner_->answer(tools, base, admitted_);
}

void GuardedResponder::ready(const ResponderTools& tools, uint32_t key) {
  if (inner_) inner_->ready(tools, key);
}

}  // namespace ksocket
