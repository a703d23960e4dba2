#include "fiber.h"

#include <ucontext.h>

#include <cstddef>

#include "stepped_ref.h"

namespace ksocket::stepping {

namespace {

constexpr size_t kStackBytes = 1 << 20;

struct Fiber {
  ucontext_t inside, outside;
  void* (*entry)(void*);
  void* argument;
  Stop stop = Stop::ended;
  uint64_t until_ns = UINT64_MAX;
};

Fiber fiber;
alignas(64) char stack[kStackBytes];
bool inside = false;
uint64_t clock_ns_now = 0;

void run() {
  fiber.entry(fiber.argument);
  fiber.stop = Stop::ended;
}

void leave(Stop why, uint64_t until_ns) {
  fiber.stop = why;
  fiber.until_ns = until_ns;
  inside = false;
  swapcontext(&fiber.inside, &fiber.outside);
}

}  // namespace

void start_fiber(void* (*entry)(void*), void* argument) {
  fiber.entry = entry;
  fiber.argument = argument;
  fiber.stop = Stop::point;
  getcontext(&fiber.inside);
  fiber.inside.uc_stack.ss_sp = stack;
  fiber.inside.uc_stack.ss_size = kStackBytes;
  fiber.inside.uc_link = &fiber.outside;
  makecontext(&fiber.inside, run, 0);
}

bool on_fiber() {
  return inside;
}

Stop resume_fiber() {
  if (fiber.stop == Stop::ended) return Stop::ended;
  inside = true;
  swapcontext(&fiber.outside, &fiber.inside);
  inside = false;
  return fiber.stop;
}

uint64_t wakes_at_ns() {
  return fiber.stop == Stop::blocked ? fiber.until_ns : UINT64_MAX;
}

void point() {
  if (inside) leave(Stop::point, UINT64_MAX);
}

void block(uint64_t until_ns) {
  leave(Stop::blocked, until_ns);
}

uint64_t now_ns() {
  return clock_ns_now;
}

void set_now_ns(uint64_t ns) {
  clock_ns_now = ns;
}

}  // namespace ksocket::stepping
