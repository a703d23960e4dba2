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
#include <vector>

#include "bridge/uv_handle.h"
#include "core/base/fd.h"

namespace ksocket {

class LoopWatch {
 public:
  ~LoopWatch() { close(); }

  // False where this runtime has no libuv loop for us; then nothing happened. `receive` is called with the
  // place, then `on_ready` if it says so.
  bool open(napi_env env, napi_value on_ready, std::function<bool(uint32_t place)> receive,
            std::function<void()> before_poll);
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

  napi_env env_ = nullptr;
  napi_ref on_ready_ = nullptr;
  napi_ref resource_ = nullptr;
  napi_async_context context_ = nullptr;
  std::function<bool(uint32_t place)> receive_;
  std::function<void()> before_poll_;
  uv_loop_t* loop_ = nullptr;  // null: closed
  int epoll_fd_ = -1;
  UvHandle<uv_prepare_t> prepare_;
  std::vector<UvHandle<Place>> places_;
};

}  // namespace ksocket
