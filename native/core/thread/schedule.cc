#include "core/thread/schedule.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace ksocket {

namespace {

struct FreeSet {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};

// As many as a cpu_set_t has; more than that no machine has told of yet.
int set_to_own(pthread_t thread) {
  cpu_set_t set;
  int error = pthread_getaffinity_np(thread, sizeof set, &set);
  return error != 0 ? -error : -pthread_setaffinity_np(thread, sizeof set, &set);
}

// The result of `try_it` on a thread of its own.
template <typename Try>
int on_thread(Try try_it) {
  struct Attempt {
    Try try_it;
    int result = 0;
  } attempt{try_it};
  pthread_t thread;
  int error = pthread_create(
      &thread, nullptr,
      [](void* given) -> void* {
        auto* attempt = static_cast<Attempt*>(given);
        attempt->result = attempt->try_it(pthread_self());
        return nullptr;
      },
      &attempt);
  if (error != 0) return -error;
  pthread_join(thread, nullptr);
  return attempt.result;
}

}  // namespace

int set_cpus(pthread_t thread, std::span<const uint32_t> cpus) {
  if (cpus.empty()) return -EINVAL;
  size_t count = size_t{*std::ranges::max_element(cpus)} + 1;
  std::unique_ptr<cpu_set_t, FreeSet> set(CPU_ALLOC(count));
  if (!set) return -ENOMEM;
  size_t size = CPU_ALLOC_SIZE(count);
  CPU_ZERO_S(size, set.get());
  for (uint32_t cpu : cpus) CPU_SET_S(cpu, size, set.get());
  return -pthread_setaffinity_np(thread, size, set.get());
}

int set_fifo_priority(pthread_t thread, int priority) {
  sched_param parameters{};
  parameters.sched_priority = priority;
  return -pthread_setschedparam(thread, SCHED_FIFO, &parameters);
}

int probe_cpus() {
  return on_thread([](pthread_t self) { return set_to_own(self); });
}

int probe_fifo_priority() {
  return on_thread([](pthread_t self) {
    int error = 0;
    for (int priority = sched_get_priority_max(SCHED_FIFO); priority > 0; priority--) {
      error = set_fifo_priority(self, priority);
      if (error == 0) return priority;
    }
    return error;
  });
}

}  // namespace ksocket
