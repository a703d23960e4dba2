#include "core/sharing/step_aside.h"

#include <gtest/gtest.h>

namespace ksocket {
namespace {

void pass(uint64_t duration_ns) {
  for (uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + duration_ns; clock_ns(CLOCK_MONOTONIC) < until_ns;) {
  }
}

TEST(StepAside, is_for_a_loop_that_was_woken_and_does_not_begin) {
  StepAside aside;
  aside.enable();
  pass(2 * kLimits.loop_late_ns);
  EXPECT_FALSE(aside.is_due(7));  // nobody was woken
  aside.on_wake(7);
  pass(2 * kLimits.loop_late_ns);
  EXPECT_TRUE(aside.is_due(7));
}

TEST(StepAside, is_not_for_a_thread_that_is_not_asked_to) {
  StepAside aside;
  aside.on_wake(7);
  pass(2 * kLimits.loop_late_ns);
  EXPECT_FALSE(aside.is_due(7));
}

TEST(StepAside, comes_once_a_wake_up) {
  StepAside aside;
  aside.enable();
  for (int wakes = 0; wakes < 3; wakes++) {
    aside.on_wake(7);
    pass(2 * kLimits.loop_late_ns);
    EXPECT_TRUE(aside.is_due(7));
    pass(2 * kLimits.loop_late_ns);
    EXPECT_FALSE(aside.is_due(7));
  }
}

TEST(StepAside, is_not_for_a_loop_that_has_begun_even_if_it_gets_no_further) {
  StepAside aside;
  aside.enable();
  aside.on_wake(7);
  EXPECT_FALSE(aside.is_due(8));
  pass(2 * kLimits.loop_late_ns);
  EXPECT_FALSE(aside.is_due(8));
  EXPECT_FALSE(aside.is_due(7));
}

TEST(StepAside, leaves_the_loop_a_moment) {
  // The test may itself lose the processor for longer than that moment: then another time.
  for (int tries = 0;; tries++) {
    ASSERT_LT(tries, 1000);
    StepAside aside;
    aside.enable();
    uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
    aside.on_wake(7);
    bool due = aside.is_due(7);
    if (clock_ns(CLOCK_MONOTONIC) - before_ns >= kLimits.loop_late_ns) continue;
    EXPECT_FALSE(due);
    break;
  }
}

}  // namespace
}  // namespace ksocket
