// Lets an event loop receive by itself while it has nothing else to do.
//
// A hop between threads costs more than a datagram: two wake-ups where one would do. So while traffic is
// light the sockets are in two epoll instances, both times with EPOLLEXCLUSIVE: first the event loop's own,
// then the I/O thread's. The kernel wakes the first of the two that is asleep in epoll_wait
// (ep_poll_callback: an instance nobody waits on does not count). An idle event loop gets the datagram at
// once and without us; a busy one does not wait, so the I/O thread is woken, and nothing is lost while
// JavaScript is stuck. What the I/O thread does about it is in core/sharing/io_thread_sharing.cc.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>

namespace ksocket {

// The loop's epoll instance. `add_place` makes one more number that epoll_event.data.fd can have, so that the
// loop calls receive_on_loop(n) for the socket with the n-th of them; or -1. With a number each, sockets are
// read in the order in which they became readable. `ask_before_poll`: call before_poll() before the loop next
// waits, once.
struct LoopPoll {
  int epoll_fd = -1;
  std::function<int()> add_place;
  std::function<void()> ask_before_poll;

  explicit operator bool() const { return epoll_fd >= 0; }
};

// 0 or -errno.
int share_with_loop(int epoll_fd, int data_fd, int fd);
void unshare(int epoll_fd, int fd);

// Who had better receive? The loop, as long as its rounds bring little (nothing is cheaper than the one
// thread that is awake anyway) or a lot (it takes what the kernel has in one call, nobody is woken, and the
// data is in the cache of the core that reads it). In between, at a steady rate, the thread: its moderation
// makes fuller batches of what would be an event a datagram.
class LoopPolicy {
 public:
  // In loop mode, after a round of the loop: should the thread take over? `full`: the kernel has more.
  // `per_ms`: datagrams a millisecond.
  bool should_leave_after_loop_round(uint32_t frames, bool full, uint32_t per_ms) {
    average_x16_ = average_x16_ - average_x16_ / 8 + std::min(frames, 1024u) * 2;
    relaxed_rounds_ = full ? 0 : relaxed_rounds_ + 1;
    if (relaxed_rounds_ >= kRelaxedRounds) saturated_.store(false, std::memory_order_relaxed);
    return should_leave(frames, per_ms) && average_x16_ < kEfficientFrames * 16;
  }
  // In loop mode, after a round of the thread: the loop was busy.
  bool should_leave_after_thread_round(uint32_t frames, uint32_t per_ms) {
    return should_leave(frames, per_ms);
  }

  struct ThreadRound {
    uint32_t frames = 0;
    bool full = false;       // the kernel has more
    bool waited = false;     // for a fuller batch
    bool futile = false;     // … and it was none
    bool caught_up = false;  // JavaScript has read the round before
  };
  // In thread mode, after each round.
  bool should_return(const ThreadRound& round, uint32_t per_ms) {
    if (round.futile) {
      patience_ = patience_ * 4 < kPatienceFutile ? kPatienceFutile : patience_ * 4;
      if (patience_ > kPatienceMax) patience_ = kPatienceMax;
    } else if (round.frames > 1) {
      patience_ = kPatienceMin;
    }
    if (!round.full) eager_rounds_ = full_rings_ = 0;
    if (round.full && !round.waited && round.caught_up) eager_rounds_++;
    bool saturated = eager_rounds_ >= kEagerRounds || full_rings_ >= kFullRings;
    if (!round.futile && per_ms >= kReturnPerMs && !saturated) return false;
    since_return_ = eager_rounds_ = full_rings_ = 0;
    average_x16_ = kEfficientFrames * 16 * (saturated ? 4 : 1);
    saturated_.store(saturated, std::memory_order_relaxed);
    return true;
  }
  // In thread mode: JavaScript does not keep up.
  void on_full_ring() { full_rings_++; }

  // In loop mode: more comes than can be read, and the thread would not make it better. From any thread.
  bool saturated() const { return saturated_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kLeavePerMs = 40;
  static constexpr uint32_t kReturnPerMs = 25;
  static constexpr uint32_t kPatienceMin = 64;
  static constexpr uint32_t kPatienceFutile = 1024;
  static constexpr uint32_t kPatienceMax = 65536;
  static constexpr uint32_t kEfficientFrames = 16;  // a round of the loop costs as much as some datagrams
  static constexpr uint32_t kEagerRounds = 8;
  static constexpr uint32_t kFullRings = 4;
  static constexpr uint32_t kRelaxedRounds = 8;

  bool should_leave(uint32_t frames, uint32_t per_ms) {
    since_return_ += frames;
    return per_ms >= kLeavePerMs && since_return_ >= patience_;
  }

  uint32_t patience_ = kPatienceMin;
  uint32_t since_return_ = 0;
  uint32_t average_x16_ = 0;     // frames a round of the loop, lately
  uint32_t eager_rounds_ = 0;    // full rounds of the thread, read as fast as they came
  uint32_t relaxed_rounds_ = 0;  // of the loop in a row that left nothing in the kernel
  uint32_t full_rings_ = 0;      // since the kernel was last read empty
  std::atomic<bool> saturated_{false};
};

}  // namespace ksocket
