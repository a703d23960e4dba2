#include "core/thread/postponed.h"

#include <algorithm>

#include "core/base/clock.h"

namespace ksocket {

void Postponed::add(const std::shared_ptr<Endpoint>& endpoint, uint32_t interest, uint64_t wait_ns) {
  uint64_t due_ns = clock_ns(CLOCK_MONOTONIC) + wait_ns;
  std::lock_guard lock(mutex_);
  all_.push_back({endpoint, interest, due_ns});
  first_ns_.store(std::min(first_ns_.load(), due_ns));
}

bool Postponed::due() const {
  uint64_t first_ns = first_ns_.load(std::memory_order_relaxed);
  return first_ns != kNever && clock_ns(CLOCK_MONOTONIC) >= first_ns;
}

int Postponed::timeout_ms() const {
  uint64_t first_ns = first_ns_.load(), now_ns = clock_ns(CLOCK_MONOTONIC);
  if (first_ns == kNever) return -1;
  return first_ns <= now_ns ? 0 : static_cast<int>((first_ns - now_ns + 999'999) / 1'000'000);
}

std::vector<Postponed::Watch> Postponed::take() {
  std::vector<Watch> out;
  if (!due()) return out;
  uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), first_ns = kNever;
  std::lock_guard lock(mutex_);
  std::erase_if(all_, [&](Watch& each) {
    bool is_due = each.due_ns <= now_ns;
    if (is_due)
      out.push_back(std::move(each));
    else
      first_ns = std::min(first_ns, each.due_ns);
    return is_due;
  });
  first_ns_.store(first_ns);
  return out;
}

}  // namespace ksocket
