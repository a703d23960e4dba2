// The event loop's side of core/sharing: a libuv handle whose callback is called when a shared
// socket is readable.
//
// libuv finds a watcher by the descriptor number in epoll_event.data.fd. Each handle watches an eventfd that
// nobody ever signals; sockets are added to the loop's epoll instance (uv_backend_fd) by us, with such a
// number as their data.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "bridge/async_context.h"
#include "bridge/ring_reader.h"
#include "bridge/uv_handle.h"
#include "core/base/fd.h"
#include "core/sharing/second_look.h"

namespace ksocket {

class LoopWatch {
 public:
  ~LoopWatch() { close(); }

  struct Calls {
    // A socket is readable. Is the ring to be read?
    std::function<bool(uint32_t place)> receive;
    // Once more though nothing was said; behind listeners as long as it pays, and at once.
    std::function<Look()> look_again;
    std::function<Look()> look_now;
    std::function<void()> before_poll;
  };
  // False where this runtime has no libuv loop for us; then nothing happened. `busy_poll_us`: so long after a
  // datagram the loop does not sleep, but looks for the next.
  bool open(napi_env env, RingReader& reader, napi_value resource, uint32_t busy_poll_us, Calls calls);
  // No socket may be shared any more. Safe to call twice.
  void close();

  int epoll_fd() const { return epoll_fd_; }
  // The number for the next place, counted from 0, or -1.
  int add_place();
  // Calls `before_poll` once, before the loop next waits.
  void ask_before_poll();

 private:
  struct Place {
    uv_poll_t poll;
    Fd event;  // what it watches
    LoopWatch* owner;
    uint32_t number;
  };

  static void on_poll(uv_poll_t* poll, int status, int events);
  void ready(uint32_t place);
  void stay_awake();
  void busy_poll();
  void fall_asleep();
  void read_ring();

  napi_env env_ = nullptr;
  RingReader* reader_ = nullptr;
  std::shared_ptr<AsyncContext> context_;
  Calls calls_;
  uv_loop_t* loop_ = nullptr;  // null: closed
  int epoll_fd_ = -1;
  std::shared_ptr<bool> open_;  // outlives us on the stack of a callback whose listeners close us
  UvHandle<uv_prepare_t> prepare_;
  uint64_t busy_poll_ns_ = 0;
  uint64_t busy_until_ns_ = 0;
  bool awake_ = false;
  UvHandle<uv_idle_t> idle_;  // active while the loop is not to sleep
  std::vector<UvHandle<Place>> places_;
};

}  // namespace ksocket
