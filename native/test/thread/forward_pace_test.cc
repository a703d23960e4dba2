#include "core/thread/forward_pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace ksocket {
namespace {

constexpr RxRound kRequest{.datagrams = 1, .forwarded = 1};
constexpr RxRound kAnswer{.datagrams = 1, .forwarded = 1, .returned = 1};
constexpr uint64_t kRounds = 2000;

// How often it waits, of kRounds rounds, while a datagram comes each `gap_ns`, whatever the thread does
// meanwhile. One round in `answered_every` answers one of them itself; 0: none.
uint64_t waits_at(ForwardPace& pace, uint64_t gap_ns, uint64_t answered_every = 0, uint64_t from_ns = 0) {
  uint64_t now = from_ns, waits = 0;
  uint32_t datagrams = 1;
  for (uint64_t i = 1; i <= kRounds; i++) {
    bool answers = answered_every != 0 && i % answered_every == 0;
    uint64_t pause = pace.after({.datagrams = datagrams, .forwarded = datagrams - answers}, now);
    EXPECT_LE(pause, uint64_t{kLimits.forward_wait_us} * 1000);
    waits += pause > 0;
    uint64_t elapsed = std::max(gap_ns, pause + 5'000);
    now += elapsed;
    datagrams = static_cast<uint32_t>(elapsed / gap_ns);
  }
  return waits;
}

// A while later each time: nothing to wait for.
uint64_t later_ns() {
  static uint64_t now = 0;
  return now += 100'000;
}

// How often it looks in so many rounds, each after `round`.
uint32_t looks_in(ForwardPace& pace, uint32_t rounds, const RxRound& round, bool finds) {
  uint32_t taken = 0;
  Event event{};
  for (uint32_t i = 0; i < rounds; i++) {
    bool looked = false;
    pace.after(round, later_ns());
    pace.look(
        [&] {
          looked = true;
          return std::span(&event, finds ? 1 : 0);
        },
        [] { return false; });
    taken += looked;
  }
  return taken;
}

TEST(ForwardPace, waits_for_fuller_batches_where_much_is_forwarded) {
  ForwardPace pace(true);
  EXPECT_GT(waits_at(pace, 16'000), kRounds * 8 / 10);
  ForwardPace ordinary(true);
  EXPECT_GT(waits_at(ordinary, 50'000), kRounds * 8 / 10);
}

TEST(ForwardPace, never_waits_where_it_may_not_or_little_comes) {
  ForwardPace may_not(false), little(true);
  EXPECT_EQ(waits_at(may_not, 16'000), 0u);
  EXPECT_EQ(waits_at(little, 64'000), 0u);
}

TEST(ForwardPace, never_waits_where_it_answers_anybody_itself) {
  ForwardPace pace(true);
  EXPECT_EQ(waits_at(pace, 16'000, kLimits.forward_rounds), 0u);
  EXPECT_EQ(waits_at(pace, 16'000, 0, kRounds * 16'000), 0u) << "soon after";
  // And does once it has all been forwarded for a while.
  EXPECT_GT(waits_at(pace, 16'000, 0, kRounds * 16'000 + kLimits.forward_one_way_ns), kRounds * 8 / 10);
}

// The next datagram comes only once the one before was answered, 10 us after we have passed it on.
TEST(ForwardPace, never_waits_in_an_exchange) {
  ForwardPace pace(true);
  uint64_t now = 0, waits = 0;
  for (uint64_t i = 0; i < 10 * kRounds; i++) {
    uint64_t pause = pace.after(i % 2 == 0 ? kRequest : kAnswer, now);
    waits += pause > 0;
    now += pause + 10'000;
  }
  EXPECT_EQ(waits, 0u);
}

// However many are under way: between two answers come many requests.
TEST(ForwardPace, never_waits_while_a_back_end_answers_now_and_then) {
  ForwardPace pace(true);
  uint64_t now = 0, waits = 0;
  for (uint64_t i = 0; i < 100 * kRounds; i++, now += 16'000) {
    waits += pace.after(i % 10'000 == 0 ? kAnswer : kRequest, now) > 0;
  }
  EXPECT_EQ(waits, 0u);
}

TEST(ForwardPace, looks_as_long_as_it_pays) {
  ForwardPace pays(true), does_not(true);
  for (ForwardPace* pace : {&pays, &does_not}) pace->after(kAnswer, later_ns());
  EXPECT_EQ(looks_in(pays, 1000, kRequest, true), 1000u);
  EXPECT_LT(looks_in(does_not, 1000, kRequest, false), 20u);
  EXPECT_GT(looks_in(does_not, 1000, kRequest, false), 0u);
}

// Many clients and back ends that are far away: something comes by in a part of the looks, and costs more of
// them than it would to sleep.
TEST(ForwardPace, does_not_look_for_what_comes_by_chance) {
  ForwardPace pace(true);
  pace.after(kAnswer, later_ns());
  Event event{};
  uint32_t taken = 0;
  for (uint32_t i = 0; i < 300; i++) {
    pace.after(kRequest, later_ns());
    auto from = std::chrono::steady_clock::now();
    bool comes = i % 3 == 0, looked = false;
    auto by_chance = [&]() -> std::span<Event> {
      looked = true;
      bool there = comes && std::chrono::steady_clock::now() - from > std::chrono::microseconds(25);
      return {&event, there ? 1u : 0u};
    };
    pace.look(by_chance, [] { return false; });
    taken += looked;
  }
  EXPECT_LT(taken, 60u);
}

TEST(ForwardPace, looks_for_answers_of_a_fast_back_end_and_not_for_requests_of_a_client_that_thinks) {
  ForwardPace pace(true);
  uint32_t for_answers = 0, for_requests = 0;
  for (uint32_t i = 0; i < 1000; i++) {
    for_answers += looks_in(pace, 1, kRequest, true);
    for_requests += looks_in(pace, 1, kAnswer, false);
  }
  EXPECT_EQ(for_answers, 999u) << "nobody had been answered before the first";
  EXPECT_LT(for_requests, 20u);
}

TEST(ForwardPace, does_not_look_where_nobody_is_answered) {
  ForwardPace pace(true);
  EXPECT_EQ(looks_in(pace, 1000, kRequest, true), 0u);
  EXPECT_EQ(looks_in(pace, 1, kAnswer, true), 1u);
  EXPECT_EQ(looks_in(pace, 1, kRequest, true), 1u);
  EXPECT_GT(looks_in(pace, 3000, kRequest, true), 2000u);
  EXPECT_EQ(looks_in(pace, 1000, kRequest, true), 0u) << "it was long ago";
}

TEST(ForwardPace, looks_only_behind_what_was_forwarded_and_once) {
  ForwardPace pace(true);
  pace.after(kAnswer, later_ns());
  EXPECT_EQ(looks_in(pace, 100, {.datagrams = 1}, true), 0u);
  EXPECT_EQ(looks_in(pace, 1, kRequest, true), 1u);
  EXPECT_EQ(looks_in(pace, 100, {}, true), 0u);
}

TEST(ForwardPace, looks_for_a_moment_and_not_on_when_something_is_to_be_done) {
  ForwardPace pace(true);
  pace.after(kAnswer, later_ns());
  uint32_t looks = 0;
  auto nothing = [&] {
    looks++;
    return std::span<Event>();
  };
  pace.after(kRequest, later_ns());
  pace.look(nothing, [] { return true; });
  EXPECT_EQ(looks, 1u);
  pace.after(kRequest, later_ns());
  auto from = std::chrono::steady_clock::now();
  pace.look(nothing, [] { return false; });
  EXPECT_GE(std::chrono::steady_clock::now() - from, std::chrono::nanoseconds(kLimits.forward_look_ns));
  EXPECT_GT(looks, 2u);
}

// Somebody else has the processor: asleep the thread would get it sooner.
TEST(ForwardPace, ends_looking_where_others_make_it_late) {
  ForwardPace pace(true);
  pace.after(kAnswer, later_ns());
  Event event{};
  uint32_t looked = 0;
  for (uint32_t i = 0; i < 100; i++) {
    uint32_t looks = 0;
    pace.after(kRequest, later_ns());
    auto late = [&]() -> std::span<Event> {
      if (looks++ == 0) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return {&event, 1};
    };
    pace.look(late, [] { return false; });
    looked += looks > 0;
  }
  EXPECT_GT(looked, 0u);
  EXPECT_LT(looked, 15u);
}

TEST(ForwardPace, looks_for_more_frames_of_a_tunnel_as_long_as_it_pays) {
  constexpr RxRound kFromDevice{.frames = 3}, kFromRemote{.datagrams = 2, .frames = 2};
  ForwardPace pays(true);
  EXPECT_EQ(looks_in(pays, 100, kFromDevice, true), 100u);
  EXPECT_EQ(looks_in(pays, 100, kFromRemote, true), 100u);
  for (uint32_t i = 0; i < 1000; i++) EXPECT_EQ(pays.after(kFromRemote, later_ns()), 0u);  // nor wait
  ForwardPace in_vain(true);
  EXPECT_LT(looks_in(in_vain, 1000, kFromDevice, false), 30u);
}

}  // namespace
}  // namespace ksocket
