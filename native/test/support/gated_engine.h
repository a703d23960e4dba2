// Real engines with something of a test's in the way.
#pragma once

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/sharing/fresh_sockets.h"
#include "engine/engine.h"

namespace ksocket::test {

// Passes everything on.
class ForwardingEngine : public Engine {
 public:
  explicit ForwardingEngine(std::unique_ptr<Engine> real) : real_(std::move(real)) {}

  const char* name() const override { return real_->name(); }
  Traits traits() const override { return real_->traits(); }
  int watch(int fd, uint64_t token, uint32_t interest) override { return real_->watch(fd, token, interest); }
  int change(int fd, uint64_t token, uint32_t interest) override {
    return real_->change(fd, token, interest);
  }
  void unwatch(int fd) override { real_->unwatch(fd); }
  int wait(std::span<Event> events, int timeout_ms) override { return real_->wait(events, timeout_ms); }
  void wake() override { real_->wake(); }
  int receive(int fd, std::span<Message> messages) override { return real_->receive(fd, messages); }
  int send(int fd, std::span<Message> messages) override { return real_->send(fd, messages); }

 private:
  const std::unique_ptr<Engine> real_;
};

// Neither looks at the kernel nor sends until it is allowed to: its thread is as good as busy.
class GatedEngine : public ForwardingEngine {
 public:
  using ForwardingEngine::ForwardingEngine;

  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  // Closes the gate again, and returns once the thread stands before it.
  void shut() {
    std::unique_lock lock(mutex_);
    open_ = false;
    ForwardingEngine::wake();
    changed_.wait(lock, [&] { return held_; });
  }
  // From now on the timer of fresh sockets is never over.
  void stop_fresh_timer() {
    std::lock_guard lock(mutex_);
    timer_stopped_ = true;
  }
  // So many sockets will not be watched.
  void refuse(int times) {
    std::lock_guard lock(mutex_);
    refusals_ = times;
  }
  // So many of these are left.
  int refusals() {
    std::lock_guard lock(mutex_);
    return refusals_;
  }
  bool has_watched(int fd) {
    std::lock_guard lock(mutex_);
    return std::count(watched_.begin(), watched_.end(), fd) > 0;
  }

  int watch(int fd, uint64_t token, uint32_t interest) override {
    std::lock_guard lock(mutex_);
    if (token == kFreshTimerToken) {
      if (timer_stopped_) return 0;
    } else if (refusals_ > 0) {
      refusals_--;
      return -ENOSPC;
    }
    watched_.push_back(fd);
    return ForwardingEngine::watch(fd, token, interest);
  }
  int wait(std::span<Event> events, int timeout_ms) override {
    {
      std::unique_lock lock(mutex_);
      held_ = !open_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return open_; });
      held_ = false;
    }
    return ForwardingEngine::wait(events, timeout_ms);
  }
  int send(int fd, std::span<Message> messages) override {
    std::lock_guard lock(mutex_);
    return open_ ? ForwardingEngine::send(fd, messages) : -EAGAIN;
  }

 private:
  std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  bool open_ = false;
  bool held_ = false;  // does the thread stand before the gate?
  bool timer_stopped_ = false;
  std::vector<int> watched_;
  int refusals_ = 0;
};

}  // namespace ksocket::test
