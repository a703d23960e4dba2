// In place of native/bridge/loop_watch.cc: the event loop comes to a shared socket when the test says so.
#include "bridge/loop_watch.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <utility>

#include "event_loop.h"

namespace ksocket {

namespace stepping {

EventLoop event_loop;

}  // namespace stepping

bool LoopWatch::open(napi_env, RingReader&, std::shared_ptr<AsyncContext>, uint32_t, Calls calls) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);  // sockets enter and leave it; nobody waits with it
  loop_ = reinterpret_cast<uv_loop_t*>(this);
  stepping::event_loop = {std::move(calls), false, 0};
  return true;
}

void LoopWatch::ask_before_poll() {
  stepping::event_loop.asked = true;
}

int LoopWatch::add_place() {
  return static_cast<int>(stepping::event_loop.places++);
}

// The thread waits for peers here.
bool LoopWatch::tell_writable(uint32_t, int) {
  return false;
}

void LoopWatch::forget_writer(uint32_t) {}

void LoopWatch::close() {
  if (std::exchange(loop_, nullptr) == nullptr) return;
  ::close(epoll_fd_);
  stepping::event_loop = {};
}

}  // namespace ksocket
