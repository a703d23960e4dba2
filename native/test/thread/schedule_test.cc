#include "core/thread/schedule.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <cerrno>
#include <thread>
#include <vector>

namespace ksocket {
namespace {

// What `ask(thread)` says of a thread that ends then.
template <typename Ask>
int of_a_thread(Ask ask) {
  int result = 0;
  std::thread([&] { result = ask(pthread_self()); }).join();
  return result;
}

std::vector<uint32_t> own_cpus() {
  cpu_set_t set;
  EXPECT_EQ(pthread_getaffinity_np(pthread_self(), sizeof set, &set), 0);
  std::vector<uint32_t> out;
  for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &set)) out.push_back(cpu);
  }
  return out;
}

TEST(Schedule, binds_a_thread_to_processors) {
  std::vector<uint32_t> before = own_cpus();
  for (uint32_t cpu : before) {
    EXPECT_EQ(of_a_thread([&](pthread_t self) {
                std::array<uint32_t, 2> cpus{cpu, 8191};  // a number that no machine has
                EXPECT_EQ(set_cpus(self, cpus), 0);
                EXPECT_EQ(own_cpus(), std::vector<uint32_t>{cpu});
                return sched_getcpu();
              }),
              static_cast<int>(cpu));
  }
  EXPECT_EQ(own_cpus(), before);
}

TEST(Schedule, says_that_there_is_no_such_processor) {
  EXPECT_EQ(of_a_thread([](pthread_t self) { return set_cpus(self, std::array<uint32_t, 1>{8191}); }),
            -EINVAL);
  EXPECT_EQ(of_a_thread([](pthread_t self) { return set_cpus(self, {}); }), -EINVAL);
}

TEST(Schedule, gives_the_priority_that_may_be_had) {
  int highest = probe_fifo_priority();
  if (highest <= 0) {
    EXPECT_EQ(highest, -EPERM);
    EXPECT_EQ(of_a_thread([](pthread_t self) { return set_fifo_priority(self, 1); }), -EPERM);
    return;
  }
  for (int priority : {1, highest}) {
    of_a_thread([&](pthread_t self) {
      EXPECT_EQ(set_fifo_priority(self, priority), 0);
      int policy = -1;
      sched_param parameters{};
      EXPECT_EQ(pthread_getschedparam(self, &policy, &parameters), 0);
      EXPECT_EQ(policy, SCHED_FIFO);
      EXPECT_EQ(parameters.sched_priority, priority);
      return 0;
    });
  }
  EXPECT_NE(of_a_thread([&](pthread_t self) { return set_fifo_priority(self, 100); }), 0);
}

TEST(Schedule, is_tried_on_a_thread_of_nobody) {
  std::vector<uint32_t> before = own_cpus();
  EXPECT_EQ(probe_cpus(), 0);
  probe_fifo_priority();
  EXPECT_EQ(own_cpus(), before);
  int policy = -1;
  sched_param parameters{};
  ASSERT_EQ(pthread_getschedparam(pthread_self(), &policy, &parameters), 0);
  EXPECT_EQ(policy, SCHED_OTHER);
}

}  // namespace
}  // namespace ksocket
