#include "core/sharing/fresh_sockets.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <utility>

#include "core/sharing/limits.h"

namespace ksocket {

void FreshSockets::open(Engine& engine) {
  timer_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (timer_ && engine.watch(timer_.get(), kFreshTimerToken, kReadable) != 0) timer_.reset();
}

bool FreshSockets::add(const std::shared_ptr<Endpoint>& endpoint) {
  if (!timer_) return false;
  if (!armed_) {
    itimerspec after{{}, {0, static_cast<long>(kLimits.fresh_ns)}};
    if (timerfd_settime(timer_.get(), 0, &after, nullptr) < 0) return false;
    armed_ = true;
  }
  endpoint->sharing.fresh_at = static_cast<uint32_t>(list_.size());
  list_.push_back(endpoint);
  return true;
}

void FreshSockets::remove(Endpoint& endpoint) {
  uint32_t at = endpoint.sharing.fresh_at;
  if (at >= list_.size() || list_[at].get() != &endpoint) return;
  list_[at] = std::move(list_.back());
  list_[at]->sharing.fresh_at = at;
  list_.pop_back();
}

Endpoints FreshSockets::take() {
  return std::exchange(list_, {});
}

Endpoints FreshSockets::take_unshared() {
  Endpoints all = take(), unshared;
  for (auto& endpoint : all) {
    if (!endpoint->sharing.shared.load(std::memory_order_relaxed)) {
      unshared.push_back(std::move(endpoint));
      continue;
    }
    endpoint->sharing.fresh_at = static_cast<uint32_t>(list_.size());
    list_.push_back(std::move(endpoint));
  }
  return unshared;
}

void FreshSockets::on_timer() {
  uint64_t expirations;
  [[maybe_unused]] ssize_t ignored = read(timer_.get(), &expirations, sizeof expirations);
  armed_ = false;
}

}  // namespace ksocket
