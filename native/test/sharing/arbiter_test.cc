// Who had better receive, from counts and times alone.
#include "core/sharing/arbiter.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace ksocket {

void PrintTo(Owner owner, std::ostream* out) {
  const char* names[] = {"loop", "loop_saturated", "thread"};
  *out << names[static_cast<int>(owner)];
}

namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kFastGapNs = 5'000, kMiddlingGapNs = 30'000, kSlowGapNs = 100'000;

using Round = Arbiter::ThreadRound;
constexpr Round kSmall{{2, false}, true};
constexpr Round kFilled{{64, true}, false, false, true};
constexpr Round kFilledUnread{{64, true}};
constexpr Round kFutile{{1, false}, true, true};

// An arbiter that was brought into each state, by the shortest way.
Arbiter loop_owns() {
  return Arbiter();
}
Arbiter efficient_loop_owns() {
  Arbiter arbiter;
  for (int i = 0; i < 100; i++) arbiter.after_loop_round({64}, kSlowGapNs, 0);
  return arbiter;
}
Arbiter thread_owns() {
  Arbiter arbiter;
  arbiter.after_stand_in({.datagrams = kLimits.patience_datagrams_min}, kFastGapNs);
  return arbiter;
}
Arbiter loop_saturated(uint64_t now_ns = 0) {
  Arbiter arbiter = thread_owns();
  for (uint32_t i = 0; i < kLimits.eager_rounds; i++) arbiter.after_thread_round(kFilled, kFastGapNs, now_ns);
  return arbiter;
}

// ---- each arrow of the owner's diagram, and what is none

struct OwnerCase {
  const char* name;
  std::function<Arbiter()> from;
  std::function<void(Arbiter&)> event;
  Owner to;
};

void PrintTo(const OwnerCase& each, std::ostream* out) {
  *out << each.name;
}

template <typename Event>
auto times(uint32_t count, Event event) {
  return [=](Arbiter& arbiter) {
    for (uint32_t i = 0; i < count; i++) event(arbiter);
  };
}
auto loop_round(RxRound round, uint64_t gap_ns, uint64_t now_ns = 0) {
  return [=](Arbiter& arbiter) { arbiter.after_loop_round(round, gap_ns, now_ns); };
}
auto stand_in(uint32_t datagrams, uint64_t gap_ns) {
  return [=](Arbiter& arbiter) { arbiter.after_stand_in({.datagrams = datagrams}, gap_ns); };
}
auto thread_round(Round round, uint64_t gap_ns) {
  return [=](Arbiter& arbiter) { arbiter.after_thread_round(round, gap_ns, 0); };
}
void full_ring(Arbiter& arbiter) {
  arbiter.on_full_ring();
}
auto full_rings(uint32_t count, Round between) {
  return [=](Arbiter& arbiter) {
    for (uint32_t i = 0; i < count; i++) {
      full_ring(arbiter);
      arbiter.after_thread_round(between, kFastGapNs, 0);
    }
  };
}

const std::vector<OwnerCase> kOwnerCases = {
    {"loop_keeps_a_slow_rate", loop_owns, times(100'000, loop_round({1}, kSlowGapNs)), Owner::loop},
    {"loop_keeps_a_middling_rate", loop_owns, times(100'000, loop_round({1}, kMiddlingGapNs)), Owner::loop},
    {"loop_keeps_a_fast_rate_in_efficient_rounds", efficient_loop_owns,
     times(100'000, loop_round({64}, kFastGapNs)), Owner::loop},
    {"loop_keeps_a_fast_rate_in_just_efficient_rounds", efficient_loop_owns,
     times(100'000, loop_round({17}, kFastGapNs)), Owner::loop},
    {"loop_loses_a_fast_rate_in_rounds_that_are_not", efficient_loop_owns,
     times(100, loop_round({12}, kFastGapNs)), Owner::thread},
    {"loop_keeps_what_is_over_before_patience_is", loop_owns, times(31, loop_round({2}, kFastGapNs)),
     Owner::loop},
    {"loop_loses_a_fast_rate_one_by_one", loop_owns, times(32, loop_round({2}, kFastGapNs)), Owner::thread},
    {"loop_loses_a_fast_rate_when_it_is_busy", loop_owns, stand_in(64, kFastGapNs), Owner::thread},
    {"loop_keeps_a_middling_rate_when_it_is_busy", loop_owns, times(1000, stand_in(64, kMiddlingGapNs)),
     Owner::loop},
    {"thread_keeps_a_fast_rate", thread_owns, times(1000, thread_round(kSmall, kFastGapNs)), Owner::thread},
    {"thread_keeps_a_middling_rate", thread_owns, times(1000, thread_round(kSmall, kMiddlingGapNs)),
     Owner::thread},
    {"thread_gives_back_a_slow_rate", thread_owns, thread_round(kSmall, kSlowGapNs), Owner::loop},
    {"thread_gives_back_what_waiting_does_not_gather", thread_owns, thread_round(kFutile, kFastGapNs),
     Owner::loop},
    {"thread_keeps_a_flood_for_a_while", thread_owns,
     times(kLimits.eager_rounds - 1, thread_round(kFilled, kFastGapNs)), Owner::thread},
    {"thread_gives_back_a_flood_that_is_read_at_once", thread_owns,
     times(kLimits.eager_rounds, thread_round(kFilled, kFastGapNs)), Owner::loop_saturated},
    {"thread_keeps_a_flood_that_is_not_read_yet", thread_owns,
     times(1000, thread_round(kFilledUnread, kFastGapNs)), Owner::thread},
    {"thread_keeps_a_flood_that_a_wait_has_filled", thread_owns,
     times(1000, thread_round({{64, true}, true, false, true}, kFastGapNs)), Owner::thread},
    {"thread_keeps_a_full_ring", thread_owns, full_rings(kLimits.full_rings - 1, kFilledUnread),
     Owner::thread},
    {"thread_gives_back_what_fills_the_ring_again_and_again", thread_owns,
     full_rings(kLimits.full_rings, kFilledUnread), Owner::loop_saturated},
    {"thread_keeps_bursts_that_fill_the_ring", thread_owns, full_rings(1000, kSmall), Owner::thread},
    {"saturated_loop_keeps_filled_rounds", [] { return loop_saturated(); },
     times(100'000, loop_round({64, true}, kFastGapNs, 1000 * kMs)), Owner::loop_saturated},
    {"saturated_loop_is_not_relaxed_yet", [] { return loop_saturated(); },
     times(kLimits.relaxed_rounds - 1, loop_round({64}, kFastGapNs)), Owner::loop_saturated},
    {"saturated_loop_relaxes", [] { return loop_saturated(); },
     times(kLimits.relaxed_rounds, loop_round({64}, kFastGapNs)), Owner::loop},
    {"saturated_loop_relaxes_after_a_while", [] { return loop_saturated(); },
     loop_round({64}, kFastGapNs, kLimits.saturated_ns + 1), Owner::loop},
    {"saturated_loop_loses_a_fast_rate_one_by_one", [] { return loop_saturated(); },
     times(100, loop_round({2, true}, kFastGapNs)), Owner::thread},
    {"saturated_loop_loses_a_fast_rate_when_it_is_busy", [] { return loop_saturated(); },
     stand_in(64, kFastGapNs), Owner::thread},
};

class ArbiterOwner : public testing::TestWithParam<OwnerCase> {};

TEST_P(ArbiterOwner, changes_as_drawn) {
  Arbiter arbiter = GetParam().from();
  GetParam().event(arbiter);
  EXPECT_EQ(arbiter.owner(), GetParam().to);
  EXPECT_EQ(arbiter.loop_owns(), GetParam().to != Owner::thread);
  EXPECT_EQ(arbiter.saturated_until_ns() > 0, GetParam().to == Owner::loop_saturated);
}

INSTANTIATE_TEST_SUITE_P(, ArbiterOwner, testing::ValuesIn(kOwnerCases),
                         [](const auto& info) { return info.param.name; });

TEST(Arbiter, begins_with_the_loop) {
  EXPECT_EQ(loop_owns().owner(), Owner::loop);
  EXPECT_EQ(thread_owns().owner(), Owner::thread);
  EXPECT_EQ(loop_saturated().owner(), Owner::loop_saturated);
}

TEST(Arbiter, counts_saturation_from_the_last_filled_round) {
  Arbiter arbiter = loop_saturated(5 * kMs);
  EXPECT_EQ(arbiter.saturated_until_ns(), 5 * kMs + kLimits.saturated_ns);
  arbiter.after_loop_round({64, true}, kFastGapNs, 9 * kMs);
  EXPECT_EQ(arbiter.saturated_until_ns(), 9 * kMs + kLimits.saturated_ns);
  arbiter.after_loop_round({64, false}, kFastGapNs, 10 * kMs);
  EXPECT_EQ(arbiter.saturated_until_ns(), 9 * kMs + kLimits.saturated_ns);
}

TEST(Arbiter, counts_filled_rounds_in_a_row) {
  Arbiter arbiter = thread_owns();
  for (int i = 0; i < 1000; i++) {
    arbiter.after_thread_round(i % 7 == 6 ? kSmall : kFilled, kFastGapNs, 0);
    ASSERT_EQ(arbiter.owner(), Owner::thread) << i;
  }
}

TEST(Arbiter, counts_relaxed_rounds_in_a_row) {
  Arbiter arbiter = loop_saturated();
  for (int i = 0; i < 1000; i++) {
    arbiter.after_loop_round({64, i % 8 == 7}, kFastGapNs, 0);
    ASSERT_EQ(arbiter.owner(), Owner::loop_saturated) << i;
  }
}

// One huge round is no mean.
TEST(Arbiter, does_not_take_a_burst_for_efficiency) {
  Arbiter arbiter;
  arbiter.after_loop_round({1'000'000}, kSlowGapNs, 0);
  uint32_t rounds = 0;
  while (arbiter.loop_owns() && rounds < 1000) {
    arbiter.after_loop_round({1}, kFastGapNs, 0);
    rounds++;
  }
  EXPECT_LT(rounds, 50u);
}

// The loop got its sockets at a rate for which its rounds are as good as the thread's.
TEST(Arbiter, gives_a_returned_loop_some_rounds_before_it_judges_it) {
  Arbiter arbiter = thread_owns();
  arbiter.after_thread_round(kSmall, kSlowGapNs, 0);
  ASSERT_EQ(arbiter.owner(), Owner::loop);
  arbiter.after_loop_round({64}, kFastGapNs, 0);
  EXPECT_EQ(arbiter.owner(), Owner::loop);
}

// Its first rounds may be small: what filled the thread's was split between two readers.
TEST(Arbiter, gives_a_saturated_loop_more_rounds_before_it_judges_it) {
  auto rounds_until_the_thread_owns = [](Arbiter arbiter) {
    uint32_t rounds = 0;
    for (; arbiter.loop_owns(); rounds++) arbiter.after_loop_round({8, true}, kFastGapNs, 0);
    return rounds;
  };
  Arbiter returned = thread_owns();
  returned.after_thread_round(kSmall, kSlowGapNs, 0);
  uint32_t judged_after = rounds_until_the_thread_owns(returned);
  EXPECT_GT(rounds_until_the_thread_owns(loop_saturated()), judged_after + 4);
  EXPECT_LT(rounds_until_the_thread_owns(loop_saturated()), judged_after + 4 * kLimits.mean_rounds);
}

// Large ones cost more on their way to another core than a wake-up does.
TEST(Arbiter, leaves_large_datagrams_to_the_loop_however_fast_they_come) {
  constexpr RxRound kLarge{.datagrams = 1, .large = true};
  for (Arbiter arbiter : {loop_owns(), loop_saturated()}) {
    for (int i = 0; i < 100'000; i++) {
      arbiter.after_loop_round(kLarge, kFastGapNs, 0);
      arbiter.after_stand_in(kLarge, kFastGapNs);
      ASSERT_TRUE(arbiter.loop_owns()) << i;
    }
  }
  Arbiter arbiter = thread_owns();
  arbiter.after_thread_round({{8, true, true}, false, false, false}, kFastGapNs, 0);
  EXPECT_EQ(arbiter.owner(), Owner::loop);
}

// … and a flood of them is as good a reason as any other to give the loop more time before the thread stands
// in.
TEST(Arbiter, saturates_a_loop_that_fills_rounds_of_large_datagrams) {
  constexpr RxRound kFilledLarge{.datagrams = 8, .filled = true, .large = true};
  Arbiter arbiter = loop_owns();
  auto round = [&](const RxRound& each) { arbiter.after_loop_round(each, kFastGapNs, 0); };
  for (int i = 0; i < 1000; i++) {
    for (uint32_t n = 1; n < kLimits.eager_rounds; n++) round(kFilledLarge);
    ASSERT_EQ(arbiter.owner(), Owner::loop) << i;
    round({.datagrams = 7, .large = true});  // a backlog ends
  }
  for (uint32_t n = 0; n < kLimits.eager_rounds; n++) round(kFilledLarge);
  EXPECT_EQ(arbiter.owner(), Owner::loop_saturated);
  for (uint32_t n = 0; n < kLimits.relaxed_rounds; n++) round({.datagrams = 7, .large = true});
  EXPECT_EQ(arbiter.owner(), Owner::loop);
}

// Of a local socket's queue ten are all that a round can bring.
TEST(Arbiter, does_not_take_rounds_of_a_short_queue_for_small_ones) {
  Arbiter queue = loop_saturated(), small = loop_saturated();
  for (int i = 0; i < 1000; i++) {
    queue.after_loop_round({.datagrams = 8, .filled = true, .short_queue = true}, kFastGapNs, 0);
    small.after_loop_round({.datagrams = 8, .filled = true}, kFastGapNs, 0);
    ASSERT_EQ(queue.owner(), Owner::loop_saturated) << i;
  }
  EXPECT_EQ(small.owner(), Owner::thread);
}

// A fast ping-pong looks like a high rate, but hopping gathers nothing: each futile visit makes the next one
// later.
TEST(Arbiter, is_ever_more_patient_with_traffic_that_a_hop_does_not_help) {
  Arbiter arbiter;
  auto rounds_until_the_thread_owns = [&] {
    uint32_t rounds = 0;
    while (arbiter.loop_owns()) {
      arbiter.after_loop_round({1}, kFastGapNs, 0);
      rounds++;
    }
    return rounds;
  };
  std::vector<uint32_t> visits;
  for (int i = 0; i < 6; i++) {
    visits.push_back(rounds_until_the_thread_owns());
    arbiter.after_thread_round(kFutile, kFastGapNs, 0);
  }
  EXPECT_LE(visits[0], kLimits.patience_datagrams_min + 50);
  EXPECT_EQ(std::vector(visits.begin() + 1, visits.end()),
            (std::vector<uint32_t>{1024, 4096, 16'384, 65'536, 65'536}));
  // A hop that gathered something: the next one comes as soon as the first did.
  rounds_until_the_thread_owns();
  arbiter.after_thread_round({{8, false}, true}, kSlowGapNs, 0);
  EXPECT_LE(rounds_until_the_thread_owns(), kLimits.patience_datagrams_min + 50);
}

TEST(Arbiter, is_as_patient_as_before_after_a_single_datagram_that_nobody_waited_for) {
  Arbiter arbiter = thread_owns();
  arbiter.after_thread_round(kFutile, kFastGapNs, 0);
  arbiter.after_stand_in({.datagrams = 1024}, kFastGapNs);
  ASSERT_EQ(arbiter.owner(), Owner::thread);
  arbiter.after_thread_round({{1, false}}, kSlowGapNs, 0);
  ASSERT_EQ(arbiter.owner(), Owner::loop);
  arbiter.after_stand_in({.datagrams = 1023}, kFastGapNs);
  EXPECT_EQ(arbiter.owner(), Owner::loop);
}

}  // namespace
}  // namespace ksocket
