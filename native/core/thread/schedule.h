// Where and when the kernel runs a thread.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <span>

namespace ksocket {

// sched_setaffinity(2): on these processors only, by their numbers. 0 or -errno; -EINVAL where the process
// may use none of them.
int set_cpus(pthread_t thread, std::span<const uint32_t> cpus);
// SCHED_FIFO, sched(7), with this priority, 1 to 99. 0 or -errno.
int set_fifo_priority(pthread_t thread, int priority);

// May this process do so? Tried on a thread that ends at once. 0 or -errno, with the processors that it has;
// the highest priority, or -errno where it gets none.
int probe_cpus();
int probe_fifo_priority();

}  // namespace ksocket
