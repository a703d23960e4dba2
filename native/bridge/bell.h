// Wakes an event loop from the I/O thread: a pipe that the loop watches.
//
// Not uv_async_send, which writes to an eventfd: of a pipe's writer the kernel expects that it sleeps soon (a
// "sync" wake-up, pipe_write), and where no processor is idle it has the loop run behind it on the writer's.
// Elsewhere the loop waits for the time slice of whoever runs there to end, and its timers with it.
#pragma once

#include <uv.h>

#include <functional>

#include "bridge/uv_handle.h"
#include "core/base/fd.h"

namespace ksocket {

class Bell {
 public:
  // `heard` is called on the loop's thread. False where it would take the process's last descriptors: then
  // nothing happened.
  bool open(uv_loop_t* loop, std::function<void()> heard);
  // From any thread between open() and close(). False: nobody hears it.
  bool ring() const;
  // Safe to call twice, and from `heard`.
  void close();

 private:
  struct Rope {
    uv_poll_t poll;
    Fd end;
    Bell* owner;  // null: closed
  };
  static void on_poll(uv_poll_t* poll, int status, int events);

  std::function<void()> heard_;
  Fd our_end_;
  UvHandle<Rope> rope_;
};

}  // namespace ksocket
