// The I/O thread as a fiber: a stack of its own on JavaScript's thread, which runs from one point() to the
// next when it is resumed. There is one at a time, and a clock that goes on when a test says so.
#pragma once

#include <cstdint>

namespace ksocket::stepping {

enum class Stop {
  point,    // it can go on
  blocked,  // not before something happens, or the clock gets to wakes_at_ns()
  ended,    // or there is none
};

void start_fiber(void* (*entry)(void*), void* argument);
bool on_fiber();
Stop resume_fiber();
// Of a blocked fiber: UINT64_MAX where only an event wakes it.
uint64_t wakes_at_ns();

// On the fiber: stands still until it may be worth looking again.
void block(uint64_t until_ns = UINT64_MAX);

uint64_t now_ns();
void set_now_ns(uint64_t ns);

}  // namespace ksocket::stepping
