// The event loop's side of core/loop_share.h: a libuv handle whose callback is called when a shared socket is
// readable.
//
// libuv finds a watcher by the descriptor number in epoll_event.data.fd. The handle watches an eventfd that
// nobody ever signals; sockets are added to the loop's epoll instance (uv_backend_fd) by us, with that number
// as their data.
#pragma once

#include <napi.h>

#include <functional>

#include "core/loop_share.h"

namespace ksocket {

class LoopWatch {
 public:
  ~LoopWatch() { close(); }

  // False where this runtime has no libuv loop for us; then nothing happened. `receive` is called, then
  // `on_ready`.
  bool open(napi_env env, napi_value on_ready, std::function<void()> receive);
  // No socket may be shared any more. Safe to call twice.
  void close();

  LoopPoll poll() const { return poll_; }

 private:
  struct Handle;

  void ready();

  napi_env env_ = nullptr;
  napi_ref on_ready_ = nullptr;
  napi_ref resource_ = nullptr;
  napi_async_context context_ = nullptr;
  std::function<void()> receive_;
  LoopPoll poll_;
  Handle* handle_ = nullptr;  // freed by libuv's close callback
};

}  // namespace ksocket
