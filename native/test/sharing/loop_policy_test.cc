// Who had better receive, from counts alone.
#include <gtest/gtest.h>

#include "core/sharing/loop_share.h"

namespace ksocket {
namespace {

constexpr LoopPolicy::ThreadRound kQuietRound{
    .frames = 1, .full = false, .waited = true, .futile = false, .caught_up = true};

TEST(LoopPolicy, stays_in_the_loop_at_a_low_rate) {
  LoopPolicy policy;
  for (int i = 0; i < 100'000; i++) ASSERT_FALSE(policy.should_leave_after_loop_round(1, false, 10));
}

TEST(LoopPolicy, leaves_the_loop_when_many_come_one_by_one) {
  LoopPolicy policy;
  int rounds = 1;
  while (!policy.should_leave_after_loop_round(2, false, 200) && rounds < 10'000) rounds++;
  EXPECT_LT(rounds, 200);
}

TEST(LoopPolicy, leaves_a_loop_that_is_busy_while_many_come) {
  LoopPolicy policy;
  EXPECT_FALSE(policy.should_leave_after_thread_round(1000, 10));
  EXPECT_TRUE(policy.should_leave_after_thread_round(1000, 200));
}

TEST(LoopPolicy, returns_to_the_loop_when_the_rate_has_fallen) {
  LoopPolicy policy;
  EXPECT_FALSE(policy.should_return({.frames = 8, .waited = true}, 200));
  EXPECT_TRUE(policy.should_return(kQuietRound, 5));
  EXPECT_FALSE(policy.saturated());
}

// Full batches without any wait, read as fast as they come: the thread is but a detour.
TEST(LoopPolicy, returns_to_the_loop_in_saturation_and_stays_there) {
  LoopPolicy policy;
  int rounds = 1;
  while (!policy.should_return({.frames = 64, .full = true, .caught_up = true}, 500) && rounds < 1000)
    rounds++;
  EXPECT_LT(rounds, 50);
  EXPECT_TRUE(policy.saturated());
  for (int i = 0; i < 100'000; i++) ASSERT_FALSE(policy.should_leave_after_loop_round(64, true, 500));
  EXPECT_TRUE(policy.saturated());
}

TEST(LoopPolicy, returns_to_the_loop_when_the_ring_is_full_again_and_again) {
  LoopPolicy policy;
  int rings = 0;
  LoopPolicy::ThreadRound round{.frames = 64, .full = true};
  while (!policy.should_return(round, 500) && rings < 1000) {
    for (int i = 0; i < 100; i++)
      ASSERT_FALSE(policy.should_return(round, 500)) << "JavaScript may catch up yet";
    policy.on_full_ring();
    rings++;
  }
  EXPECT_GT(rings, 1);
  EXPECT_LT(rings, 50);
  EXPECT_TRUE(policy.saturated());
}

// One full ring is a burst, if the kernel has nothing left afterwards.
TEST(LoopPolicy, forgets_full_rings_when_the_thread_has_read_everything) {
  LoopPolicy policy;
  for (int burst = 0; burst < 100; burst++) {
    policy.on_full_ring();
    ASSERT_FALSE(policy.should_return({.frames = 64, .full = true}, 500));
    ASSERT_FALSE(policy.should_return({.frames = 30}, 500));
  }
}

TEST(LoopPolicy, is_saturated_no_more_when_the_loop_keeps_up) {
  LoopPolicy policy;
  for (int i = 0; i < 100 && !policy.saturated(); i++)
    policy.should_return({.frames = 64, .full = true, .caught_up = true}, 500);
  ASSERT_TRUE(policy.saturated());
  int rounds = 1;
  while (!policy.should_leave_after_loop_round(3, false, 200) && rounds < 1000) rounds++;
  EXPECT_LT(rounds, 100) << "the rate is high and the rounds are small: moderation pays";
  EXPECT_FALSE(policy.saturated());
}

// A fast ping-pong looks like a high rate, but hopping gathers nothing: each futile visit makes the next one
// later.
TEST(LoopPolicy, is_ever_more_patient_with_traffic_that_a_hop_does_not_help) {
  LoopPolicy policy;
  int before = 0;
  for (int visit = 0; visit < 6; visit++) {
    int rounds = 1;
    while (!policy.should_leave_after_loop_round(1, false, 100)) rounds++;
    EXPECT_GE(rounds, before) << visit;
    before = rounds;
    ASSERT_TRUE(policy.should_return({.frames = 1, .waited = true, .futile = true}, 100));
  }
  EXPECT_GT(before, 10'000);
  // A hop that gathered something: the next one comes as soon as the first did.
  ASSERT_TRUE(policy.should_return({.frames = 8, .waited = true}, 5));
  int rounds = 1;
  while (!policy.should_leave_after_loop_round(1, false, 100)) rounds++;
  EXPECT_LT(rounds, 200);
}

}  // namespace
}  // namespace ksocket
