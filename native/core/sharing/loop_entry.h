// A socket's entry in an event loop's epoll instance.
//
// A hop between threads costs more than a datagram: two wake-ups where one would do. So while traffic is
// light the sockets are in two epoll instances, both times with EPOLLEXCLUSIVE: first the event loop's own,
// then the I/O thread's. The kernel wakes the first of the two that is asleep in epoll_wait
// (ep_poll_callback: an instance nobody waits on does not count). An idle event loop gets the datagram at
// once and without us; a busy one does not wait, so the I/O thread is woken, and nothing is lost while
// JavaScript is stuck.
#pragma once

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

// 0 or -errno: EEXIST for a descriptor that libuv watches itself.
int enter_loop(const LoopPoll& loop, int data_fd, int fd);
void leave_loop(const LoopPoll& loop, int fd);

}  // namespace ksocket
