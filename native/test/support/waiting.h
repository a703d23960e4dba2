// Waiting for something that will happen, with a deadline far beyond what a busy machine needs: when one of
// these gives up, the test has failed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace ksocket::test {

inline constexpr auto kDeadline = std::chrono::seconds(60);

// For conditions that nobody announces, such as counters.
template <typename Condition>
[[nodiscard]] bool eventually(Condition&& condition) {
  auto until = std::chrono::steady_clock::now() + kDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

// Rung by one thread, waited for by another. Rings are remembered, but not counted: like the thread-safe
// function of the bridge, several in a row are one.
class Bell {
 public:
  void ring() {
    std::lock_guard lock(mutex_);
    rung_ = true;
    rings_++;
    changed_.notify_one();
  }
  [[nodiscard]] bool wait() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kDeadline, [&] { return rung_; })) return false;
    rung_ = false;
    return true;
  }
  uint64_t rings() {
    std::lock_guard lock(mutex_);
    return rings_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;   // guarded by mutex_
  uint64_t rings_ = 0;  // guarded by mutex_: all there ever were
};

}  // namespace ksocket::test
