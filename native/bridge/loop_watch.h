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
#include <unordered_map>
#include <utility>
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
    // This socket is writable, as was asked. Is the ring to be read?
    std::function<bool(uint32_t id)> writable;
  };
  // False where this runtime has no libuv loop for us; then nothing happened. `busy_poll_us`: so long after a
  // datagram the loop does not sleep, but looks for the next.
  bool open(napi_env env, RingReader& reader, std::shared_ptr<AsyncContext> context, uint32_t busy_poll_us,
            Calls calls);
  // No socket may be shared any more. Safe to call twice.
  void close();

  int epoll_fd() const { return epoll_fd_; }
  // The number for the next place, counted from 0, or -1.
  int add_place();
  // Calls `before_poll` once, before the loop next waits.
  void ask_before_poll();
  // Calls `writable` once, when the socket is: the thread would have to wake the loop for that. False where
  // it has to all the same.
  bool tell_writable(uint32_t id, int fd);
  // Of a socket that closes.
  void forget_writer(uint32_t id);

 private:
  struct Place {
    uv_poll_t poll;
    Fd event;  // what it watches
    LoopWatch* owner;
    uint32_t number;
  };

  // A socket that may be waited for. What is watched is a copy of its descriptor, which has an entry of its
  // own in the loop's epoll instance, beside that of a place.
  struct Writer {
    uv_poll_t poll;
    Fd copy;
    LoopWatch* owner;
    uint32_t id;
    bool started, wanted;
  };
  static void close_writer(UvHandle<Writer> writer) {
    writer->owner = nullptr;
    Fd copy = std::move(writer->copy);  // closed here, once libuv watches it no more
    writer.reset();
  }

  static void on_poll(uv_poll_t* poll, int status, int events);
  static void on_writable(uv_poll_t* poll, int status, int events);
  void ready(uint32_t place);
  void writable(uint32_t id);
  void stay_awake();
  void busy_poll();
  void fall_asleep();

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
  std::unordered_map<uint32_t, UvHandle<Writer>> writers_;  // by socket
};

}  // namespace ksocket
