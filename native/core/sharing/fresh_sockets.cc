#include "core/sharing/fresh_sockets.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <utility>

namespace ksocket {

void FreshSockets::open(Engine& engine) {
  timer_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (timer_ && engine.watch(timer_.get(), kFreshTimerToken, kReadable) != 0) timer_.reset();
}

bool FreshSockets::add(const std::shared_ptr<Endpoint>& endpoint) {
  if (!timer_) return false;
  if (!armed_) {
    itimerspec after{{}, {0, kFreshNs}};
    if (timerfd_settime(timer_.get(), 0, &after, nullptr) < 0) return false;
    armed_ = true;
  }
  endpoint->fresh_at = list_.size();
  list_.push_back(endpoint);
  return true;
}

void FreshSockets::remove(Endpoint& endpoint) {
  size_t at = endpoint.fresh_at;
  if (at >= list_.size() || list_[at].get() != &endpoint) return;
  list_[at] = std::move(list_.back());
  list_[at]->fresh_at = at;
  list_.pop_back();
}

FreshSockets::List FreshSockets::take() {
  return std::exchange(list_, {});
}

FreshSockets::List FreshSockets::take_unshared() {
  List all = take(), unshared;
  for (auto& endpoint : all) {
    if (!endpoint->shared.load(std::memory_order_relaxed)) {
      unshared.push_back(std::move(endpoint));
      continue;
    }
    endpoint->fresh_at = list_.size();
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
