// What the addon asks of the system and of Node, as the linker passes it on (--wrap, CMakeLists.txt): threads
// are fibers, locks are waited for by letting the other side run, time is the tests', and a wake-up of
// JavaScript waits until the test delivers it.
#include "system.h"

#include <node_api.h>
#include <pthread.h>
#include <sys/timerfd.h>
#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "engine.h"
#include "fiber.h"

namespace ksocket::stepping {

namespace {

int wakes = 0;
RingReader* ring_reader = nullptr;

// Neither side can go on: the test's process ends here, as it would hang for ever.
[[noreturn]] void deadlock(const char* what) {
  fprintf(stderr, "deadlock: %s\n", what);
  abort();
}

}  // namespace

bool take_wake() {
  return wakes > 0 && wakes--;
}

int pending_wakes() {
  return wakes;
}

RingReader* reader() {
  return ring_reader;
}

}  // namespace ksocket::stepping

using namespace ksocket::stepping;

extern "C" {

int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t*, void* (*entry)(void*), void* argument) {
  *thread = {};
  wakes = 0;
  start_fiber(entry, argument);
  return 0;
}

int __wrap_pthread_join(pthread_t, void**) {
  for (Stop stop; (stop = resume_fiber()) != Stop::ended;) {
    if (stop != Stop::blocked) continue;
    if (wakes_at_ns() == UINT64_MAX && resume_fiber() == Stop::blocked && wakes_at_ns() == UINT64_MAX) {
      deadlock("the thread that is told to stop waits for ever");
    }
    if (wakes_at_ns() != UINT64_MAX) set_now_ns(wakes_at_ns());
  }
  return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  for (Stop stop = Stop::point; pthread_mutex_trylock(mutex) != 0;) {
    if (on_fiber()) {
      block();
      continue;
    }
    if (stop != Stop::point) deadlock("a lock that the I/O thread does not let go of");
    stop = resume_fiber();
  }
  return 0;
}

int __wrap_sched_yield() {
  if (on_fiber()) block();
  return 0;
}

int __wrap_nanosleep(const timespec* duration, timespec*) {
  uint64_t until_ns = now_ns() + static_cast<uint64_t>(duration->tv_sec) * 1'000'000'000 +
                      static_cast<uint64_t>(duration->tv_nsec);
  while (on_fiber() && now_ns() < until_ns) block(until_ns);
  return 0;
}

int __wrap_clock_gettime(clockid_t, timespec* now) {
  now->tv_sec = static_cast<time_t>(now_ns() / 1'000'000'000);
  now->tv_nsec = static_cast<long>(now_ns() % 1'000'000'000);
  return 0;
}

// std::chrono::steady_clock::now()
int64_t __wrap__ZNSt6chrono3_V212steady_clock3nowEv() {
  return static_cast<int64_t>(now_ns());
}

// There is one timer, and the engine looks after it.
int __wrap_timerfd_settime(int, int, const itimerspec* in, itimerspec*) {
  engine()->set_timer(now_ns() + static_cast<uint64_t>(in->it_value.tv_nsec));
  return 0;
}

// The same run each time.
ssize_t __wrap_getrandom(void* out, size_t bytes, unsigned) {
  std::memset(out, 7, bytes);
  return static_cast<ssize_t>(bytes);
}

// These would be about JavaScript's thread.
int __wrap_pthread_setname_np(pthread_t, const char*) {
  return 0;
}
int __wrap_prctl(int, ...) {
  return 0;
}

napi_status __wrap_napi_create_threadsafe_function(napi_env, napi_value, napi_value, napi_value, size_t,
                                                   size_t, void*, napi_finalize, void* context,
                                                   napi_threadsafe_function_call_js,
                                                   napi_threadsafe_function* function) {
  *function = reinterpret_cast<napi_threadsafe_function>(&wakes);
  ring_reader = static_cast<ksocket::RingReader*>(context);
  return napi_ok;
}
napi_status __wrap_napi_call_threadsafe_function(napi_threadsafe_function, void*,
                                                 napi_threadsafe_function_call_mode) {
  wakes++;
  return napi_ok;
}
napi_status __wrap_napi_release_threadsafe_function(napi_threadsafe_function,
                                                    napi_threadsafe_function_release_mode) {
  wakes = 0;
  ring_reader = nullptr;
  return napi_ok;
}
napi_status __wrap_napi_ref_threadsafe_function(napi_env, napi_threadsafe_function) {
  return napi_ok;
}
napi_status __wrap_napi_unref_threadsafe_function(napi_env, napi_threadsafe_function) {
  return napi_ok;
}

}  // extern "C"
