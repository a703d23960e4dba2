// The event loop that shares sockets with the I/O thread, if there is one now.
#pragma once

#include <cstdint>
#include <functional>

namespace ksocket::stepping {

struct EventLoop {
  std::function<bool(uint32_t place)> receive;  // as of LoopWatch::open()
  std::function<void()> before_poll;
  bool asked = false;  // is before_poll to be called before the loop waits?
  uint32_t places = 0;
};

extern EventLoop event_loop;

}  // namespace ksocket::stepping
