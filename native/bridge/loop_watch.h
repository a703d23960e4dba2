// The event loop's side of core/sharing/loop_entry.h: a libuv handle whose callback is called when a shared
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

struct uv_loop_s;
struct uv_poll_s;
struct uv_prepare_s;

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
  struct Handle;

  static void on_poll(uv_poll_s* poll, int status, int events);
  void ready(uint32_t place);

  napi_env env_ = nullptr;
  napi_ref on_ready_ = nullptr;
  napi_ref resource_ = nullptr;
  napi_async_context context_ = nullptr;
  std::function<bool(uint32_t place)> receive_;
  std::function<void()> before_poll_;
  uv_loop_s* loop_ = nullptr;  // null: closed
  int epoll_fd_ = -1;
  uv_prepare_s* prepare_ = nullptr;  // freed by libuv's close callback
  std::vector<Handle*> handles_;     // by place; freed by libuv's close callback
};

}  // namespace ksocket
