#include "core/sharing/second_look.h"

#include <gtest/gtest.h>

namespace ksocket {
namespace {

// How many of so many chances are taken, where each finds something or none does.
uint32_t taken(SecondLook& look, uint32_t chances, bool finds) {
  uint32_t taken = 0;
  for (uint32_t i = 0; i < chances; i++) {
    if (!look.pays()) continue;
    taken++;
    look.note(finds);
  }
  return taken;
}

TEST(SecondLook, takes_every_chance_as_long_as_it_finds_something) {
  SecondLook look;
  EXPECT_EQ(taken(look, 1000, true), 1000u);
}

TEST(SecondLook, is_patient_and_then_skips_more_and_more) {
  SecondLook look;
  EXPECT_EQ(taken(look, SecondLook::kPatience, false), SecondLook::kPatience);
  for (uint32_t skipped = 1; skipped < 2 * SecondLook::kSkippedMax; skipped = skipped * 2 + 1) {
    uint32_t expected = std::min(skipped, SecondLook::kSkippedMax);
    EXPECT_EQ(taken(look, expected, false), 0u) << skipped;
    EXPECT_EQ(taken(look, 1, false), 1u) << skipped;
  }
}

TEST(SecondLook, begins_anew_when_it_finds_something) {
  SecondLook look;
  taken(look, 10'000, false);
  while (!look.pays()) {
  }
  look.note(true);
  EXPECT_EQ(taken(look, SecondLook::kPatience, false), SecondLook::kPatience);
}

TEST(SecondLook, pays_where_it_finds_something_now_and_then) {
  SecondLook look;
  for (uint32_t i = 0; i < 1000; i++) {
    EXPECT_TRUE(look.pays());
    look.note(i % SecondLook::kPatience == 0);
  }
}

}  // namespace
}  // namespace ksocket
