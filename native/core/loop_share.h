// Lets an event loop receive by itself while it has nothing else to do.
//
// A hop between threads costs more than a datagram: two wake-ups where one would do. So while traffic is
// light the sockets are in two epoll instances, both times with EPOLLEXCLUSIVE: first the event loop's own,
// then the I/O thread's. The kernel wakes the first of the two that is asleep in epoll_wait
// (ep_poll_callback: an instance nobody waits on does not count). An idle event loop gets the datagram at
// once and without us; a busy one does not wait, so the I/O thread is woken, and nothing is lost while
// JavaScript is stuck. Nobody has to measure or to guess.
#pragma once

#include <cstdint>

namespace ksocket {

// The loop's epoll instance, and what epoll_event.data.fd has to say so that the loop calls
// receive_on_loop().
struct LoopPoll {
  int epoll_fd = -1;
  int data_fd = -1;

  explicit operator bool() const { return epoll_fd >= 0; }
};

// 0 or -errno.
int share_with_loop(const LoopPoll& loop, int fd);
void unshare(const LoopPoll& loop, int fd);

// When is it better to hop? At a high rate a batch a hop is cheaper than an event a datagram, if batches
// form: the thread's moderation finds out, and this class remembers how that went.
class LoopPolicy {
 public:
  // In loop mode, after each round: should the thread take over? `per_ms`: datagrams a millisecond.
  bool should_leave(uint32_t frames, uint32_t per_ms) {
    since_return_ += frames;
    return (per_ms >= kLeavePerMs || frames >= kBacklogFrames) && since_return_ >= patience_;
  }
  // In thread mode, after each round. `futile`: the wait before it gathered nothing.
  bool should_return(uint32_t frames, uint32_t per_ms, bool futile) {
    if (futile) {
      patience_ = patience_ * 4 < kPatienceFutile ? kPatienceFutile : patience_ * 4;
      if (patience_ > kPatienceMax) patience_ = kPatienceMax;
    } else if (frames > 1) {
      patience_ = kPatienceMin;
    }
    if (!futile && per_ms >= kReturnPerMs) return false;
    since_return_ = 0;
    return true;
  }

 private:
  static constexpr uint32_t kLeavePerMs = 40;
  static constexpr uint32_t kReturnPerMs = 25;
  static constexpr uint32_t kBacklogFrames = 16;  // so many in one round: they come faster than we look
  static constexpr uint32_t kPatienceMin = 64;
  static constexpr uint32_t kPatienceFutile = 1024;
  static constexpr uint32_t kPatienceMax = 65536;

  uint32_t patience_ = kPatienceMin;
  uint32_t since_return_ = 0;
};

}  // namespace ksocket
