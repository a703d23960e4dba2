#include "core/thread/ticker.h"

#include <algorithm>
#include <utility>

#include "core/base/clock.h"

namespace ksocket {

namespace {
constexpr uint64_t kTickNs = uint64_t{Ticker::kTickMs} * 1'000'000;
}  // namespace

void Ticker::add(std::weak_ptr<Endpoint> endpoint) {
  std::lock_guard lock(mutex_);
  auto same = [&](const auto& each) { return !each.owner_before(endpoint) && !endpoint.owner_before(each); };
  if (std::none_of(all_.begin(), all_.end(), same)) all_.push_back(std::move(endpoint));
  any_.store(true);
}

int Ticker::timeout_ms() const {
  if (!any_.load(std::memory_order_relaxed)) return -1;
  uint64_t passed_ns = clock_ns(CLOCK_MONOTONIC) - ticked_ns_;
  // The last part of a millisecond as one: the time has come behind it.
  return passed_ns >= kTickNs ? 0 : static_cast<int>((kTickNs - passed_ns + 999'999) / 1'000'000);
}

void Ticker::tick() {
  if (!any_.load(std::memory_order_relaxed)) return;
  uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
  if (now_ns - ticked_ns_ < kTickNs) return;
  ticked_ns_ = now_ns;
  std::vector<std::weak_ptr<Endpoint>> all;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(all_, [](const auto& weak) { return weak.expired(); });
    all = all_;
  }
  for (const auto& weak : all) {
    auto endpoint = weak.lock();
    if (!endpoint) continue;
    std::lock_guard lock(endpoint->rx_mutex);
    if (!endpoint->fd) continue;
    if (endpoint->responder) endpoint->responder->tick();
    endpoint->kernel_drops.refresh(endpoint->fd.get(), endpoint->counters);
  }
}

}  // namespace ksocket
