// The event loop that shares sockets with the I/O thread, if there is one now.
#pragma once

#include <cstdint>

#include "bridge/loop_watch.h"

namespace ksocket::stepping {

struct EventLoop {
  LoopWatch::Calls calls;
  bool asked = false;  // is before_poll to be called before the loop waits?
  uint32_t places = 0;
};

extern EventLoop event_loop;

}  // namespace ksocket::stepping
