#include "core/sharing/moderation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace ksocket {
namespace {

constexpr Moderation::Options kAdaptive{.usecs_max = 50, .frames = 64, .adaptive = true};

TEST(Moderation, never_waits_when_it_is_off) {
  Moderation off({.usecs_max = 0});
  for (uint64_t now = 0; now < 100'000'000; now += 5000) ASSERT_EQ(off.after({1}, now), 0u);
}

TEST(Moderation, always_waits_when_it_does_not_adapt) {
  Moderation fixed({.usecs_max = 30, .frames = 64, .adaptive = false});
  for (uint64_t now = 0; now < 10'000'000'000; now += 10'000'000) ASSERT_EQ(fixed.after({1}, now), 30'000u);
}

TEST(Moderation, does_not_wait_after_a_round_that_received_nothing) {
  Moderation fixed({.usecs_max = 30, .frames = 64, .adaptive = false});
  EXPECT_EQ(fixed.after({0}, 1'000'000), 0u);
  Moderation adaptive(kAdaptive);
  for (uint64_t now = 0; now < 100'000'000; now += 5000) ASSERT_EQ(adaptive.after({0}, now), 0u);
}

TEST(Moderation, does_not_wait_at_a_low_rate) {
  Moderation moderation(kAdaptive);
  // A datagram a millisecond: fifty microseconds would gather nothing.
  for (uint64_t now = 0; now < 1'000'000'000; now += 1'000'000)
    ASSERT_EQ(moderation.after({1}, now), 0u) << now;
}

TEST(Moderation, waits_at_a_high_rate_and_never_longer_than_allowed) {
  Moderation moderation(kAdaptive);
  uint64_t now = 0;
  uint32_t waits = 0;
  // 150 datagrams a millisecond, whatever the thread does meanwhile.
  for (uint32_t frames = 1, round = 0; round < 1000; round++) {
    uint64_t pause = moderation.after({frames}, now);
    ASSERT_LE(pause, 50'000u);
    waits += pause > 0;
    uint64_t elapsed = 7'000 + pause;
    now += elapsed;
    frames = std::max<uint32_t>(1, static_cast<uint32_t>(elapsed * 150 / 1'000'000));
  }
  EXPECT_GT(waits, 900u);
}

TEST(Moderation, does_not_wait_when_batches_are_full_without_it) {
  Moderation moderation(kAdaptive);
  for (uint64_t now = 0; now < 100'000'000; now += 10'000) ASSERT_EQ(moderation.after({64}, now), 0u);
}

// Of large datagrams the kernel's buffer holds few.
TEST(Moderation, waits_half_as_long_for_large_datagrams) {
  for (bool large : {false, true}) {
    Moderation moderation(kAdaptive);
    uint64_t now = 0, longest = 0;
    for (uint32_t round = 0; round < 1000; round++) {
      uint64_t pause = moderation.after({.datagrams = 4, .large = large}, now);
      longest = std::max(longest, pause);
      now += 15'000 + pause;
    }
    EXPECT_EQ(longest, large ? 25'000u : 50'000u);
  }
}

// Of large datagrams a round takes eight, and the kernel's buffer holds hardly more.
TEST(Moderation, does_not_wait_after_a_round_that_the_kernel_filled) {
  Moderation adaptive(kAdaptive), fixed({.usecs_max = 30, .frames = 64, .adaptive = false});
  uint32_t waits = 0;
  uint64_t now = 0;
  for (uint32_t round = 0; round < 10'000; round++) {
    uint64_t pause = adaptive.after({8, false}, now += 10'000);
    waits += pause > 0;
    now += 10'000 + pause;
    ASSERT_EQ(adaptive.after({pause > 0 ? 48u : 8u, true}, now), 0u);
    ASSERT_EQ(fixed.after({8, true}, now), 0u);
  }
  EXPECT_GT(waits, 9'000u) << "of which there are as many as of those that wait";
}

// Of an exchange with several requests under way a wait gathers those, and no more however long it is.
TEST(Moderation, gives_up_on_an_exchange_with_several_requests_under_way) {
  for (uint32_t outstanding : {2u, 3u, 4u, 8u}) {
    Moderation moderation(kAdaptive);
    uint64_t now = 0;
    uint32_t waits = 0;
    uint64_t since_answer_ns = 0;
    for (uint32_t round = 0; round < 20'000; round++) {
      // Answered one by one, they come back 10 us later; behind a wait all are there.
      uint64_t pause = moderation.after({since_answer_ns > 10'000 ? outstanding : 1}, now);
      waits += pause > 0;
      since_answer_ns = pause;
      now += 10'000 / outstanding + pause;
    }
    EXPECT_GT(waits, 0u) << outstanding;
    EXPECT_LT(waits, 60u) << outstanding;
  }
}

// A rate that has become lower is not an exchange.
TEST(Moderation, goes_on_waiting_where_less_comes_than_before) {
  Moderation moderation(kAdaptive);
  uint64_t now = 0;
  uint32_t waits = 0;
  double due = 0;
  for (uint32_t round = 0; round < 20'000; round++) {
    double per_us = round < 2'000 ? 0.15 : 0.06;  // 150 000 a second, then 60 000
    uint32_t datagrams = static_cast<uint32_t>(due);
    due -= datagrams;
    uint64_t pause = moderation.after({std::max(datagrams, 1u)}, now);
    if (round >= 10'000) waits += pause > 0;
    uint64_t elapsed = 10'000 + pause;
    now += elapsed;
    due += per_us * static_cast<double>(elapsed) / 1000;
  }
  EXPECT_GT(waits, 9'000u);
}

// Who was kept from reading finds more than one round takes: how fast that is read is not how fast it came.
TEST(Moderation, goes_on_waiting_behind_a_backlog) {
  Moderation moderation(kAdaptive);
  uint64_t now = 0, read_ns = 0;
  uint32_t futile = 0, backlogs = 0;
  for (uint32_t round = 0; round < 20'000; round++) {
    uint64_t held_up_ns = round % 100 == 99 ? 5'000'000 : 10'000;
    now += held_up_ns;
    uint64_t waiting = (now - read_ns) / 16'000;  // 60 000 a second
    if (waiting == 0) continue;
    bool filled = waiting >= 64;
    backlogs += filled;
    uint32_t datagrams = static_cast<uint32_t>(std::min<uint64_t>(waiting, 64));
    read_ns += uint64_t{datagrams} * 16'000;
    now += moderation.after({datagrams, filled}, now);
    futile += moderation.futile();
  }
  EXPECT_GT(backlogs, 400u);
  EXPECT_LT(futile, 10u);
}

// A ping-pong has a steady rate, but its next datagram comes only after our answer. It tries, but hardly
// ever.
TEST(Moderation, gives_up_on_traffic_that_a_wait_does_not_gather) {
  // Slow: a wait is as long as the pause between two.
  for (bool slow : {false, true}) {
    Moderation moderation(kAdaptive);
    uint64_t now = 0;
    uint32_t waits = 0;
    for (uint32_t round = 0; round < 20'000; round++) {
      uint64_t wait_ns = moderation.after({1}, now);
      waits += wait_ns > 0;
      now += slow ? std::max(kAdaptive.usecs_max * uint64_t{800}, wait_ns) : 15'000 + wait_ns;
    }
    EXPECT_GT(waits, 0u);
    EXPECT_LT(waits, 40u);
  }
}

TEST(Moderation, skips_1_3_7_to_1023_chances_after_waits_that_gathered_nothing) {
  Moderation moderation(kAdaptive);
  uint64_t now = 0;
  std::vector<uint32_t> skipped;
  for (uint32_t chances = 0; skipped.size() < 12; chances++) {
    ASSERT_LT(chances, 10'000u);
    uint64_t pause = moderation.after({1}, now);
    now += 15'000 + pause;
    if (pause == 0) continue;
    skipped.push_back(chances);
    chances = UINT32_MAX;
  }
  skipped.erase(skipped.begin());  // until the rate was known
  EXPECT_EQ(skipped, (std::vector<uint32_t>{1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1023}));
}

TEST(Moderation, waits_again_soon_after_a_ping_pong_has_become_a_flood) {
  Moderation moderation(kAdaptive);
  uint64_t now = 0;
  for (uint32_t round = 0; round < 20'000; round++) now += 15'000 + moderation.after({1}, now);
  // At most as many rounds as it may skip; from then on each wait gathers a batch, so it goes on waiting.
  uint32_t waits = 0, frames = 1;
  for (uint32_t round = 0; round < 1200; round++) {
    uint64_t pause = moderation.after({frames}, now);
    waits += pause > 0;
    now += 7'000 + pause;
    frames = pause > 0 ? 8 : 1;
  }
  EXPECT_GT(waits, 150u);
}

}  // namespace
}  // namespace ksocket
