// How long the thread leaves a loop that owns the sockets alone.
#include <gtest/gtest.h>

#include <vector>

#include "core/sharing/arbiter.h"

namespace ksocket {

void PrintTo(Vigil vigil, std::ostream* out) {
  const char* names[] = {"asleep", "grace", "dozing", "standing_in"};
  *out << names[static_cast<int>(vigil)];
}

namespace {

constexpr bool kCame = true, kSaturated = true;

// on_told() and what follows; an arrow each.
TEST(ArbiterVigil, gives_the_loop_a_moment_and_dozes_when_it_comes) {
  Arbiter arbiter;
  EXPECT_EQ(arbiter.vigil(), Vigil::asleep);
  EXPECT_EQ(arbiter.on_told(!kCame, !kSaturated, 0), kLimits.grace_ns);
  EXPECT_EQ(arbiter.vigil(), Vigil::grace);
  arbiter.after_grace(kCame, !kSaturated);
  EXPECT_EQ(arbiter.vigil(), Vigil::dozing);
  arbiter.after_doze(kLimits.doze_rounds);
  EXPECT_EQ(arbiter.vigil(), Vigil::dozing);
  arbiter.after_doze(kLimits.doze_rounds - 1);
  EXPECT_EQ(arbiter.vigil(), Vigil::asleep);
}

TEST(ArbiterVigil, wakes_from_its_doze_for_what_only_the_thread_does) {
  Arbiter arbiter;
  arbiter.on_told(!kCame, !kSaturated, 0);
  arbiter.after_grace(kCame, !kSaturated);
  arbiter.end_doze();
  EXPECT_EQ(arbiter.vigil(), Vigil::asleep);
  EXPECT_GT(arbiter.on_told(kCame, !kSaturated, 0), 0u);
}

TEST(ArbiterVigil, stands_in_until_the_loop_comes) {
  Arbiter arbiter;
  arbiter.on_told(!kCame, !kSaturated, 0);
  arbiter.after_grace(!kCame, !kSaturated);
  for (uint32_t consumed = 0; consumed < 10; consumed++) {
    EXPECT_EQ(arbiter.vigil(), Vigil::standing_in);
    EXPECT_EQ(arbiter.on_told(!kCame, !kSaturated, consumed), 0u) << "reading is not receiving";
  }
  EXPECT_EQ(arbiter.on_told(kCame, !kSaturated, 0), kLimits.grace_ns);
  EXPECT_EQ(arbiter.vigil(), Vigil::grace);
}

TEST(ArbiterVigil, gives_twice_as_long_to_a_loop_that_comes_and_begins_anew_with_one_that_does_not) {
  Arbiter arbiter;
  std::vector<uint64_t> graces;
  for (int i = 0; i < 4; i++) {
    graces.push_back(arbiter.on_told(kCame, !kSaturated, 0));
    arbiter.after_grace(kCame, !kSaturated);
    arbiter.after_doze(0);
  }
  EXPECT_EQ(graces, (std::vector<uint64_t>{250'000, 500'000, 1'000'000, 1'000'000}));
  arbiter.on_told(kCame, !kSaturated, 0);
  arbiter.after_grace(!kCame, !kSaturated);
  EXPECT_EQ(arbiter.on_told(kCame, !kSaturated, 0), kLimits.grace_ns);
}

// In saturation the loop may have to wait for a processor: it gets longer, and also while it only reads.
TEST(ArbiterVigil, is_more_patient_in_saturation) {
  Arbiter arbiter;
  EXPECT_EQ(arbiter.on_told(!kCame, kSaturated, 7), kLimits.grace_saturated_ns);
  arbiter.after_grace(kCame, kSaturated);
  EXPECT_EQ(arbiter.vigil(), Vigil::asleep) << "no time for a doze";
  arbiter.on_told(kCame, kSaturated, 7);
  arbiter.after_grace(!kCame, kSaturated);
  EXPECT_EQ(arbiter.vigil(), Vigil::standing_in);
  EXPECT_EQ(arbiter.on_told(!kCame, kSaturated, 8), kLimits.grace_saturated_ns) << "it has read";
  arbiter.after_grace(!kCame, kSaturated);
  EXPECT_EQ(arbiter.on_told(!kCame, kSaturated, 8), 0u) << "it has not";
  EXPECT_EQ(arbiter.vigil(), Vigil::standing_in);
}

}  // namespace
}  // namespace ksocket
