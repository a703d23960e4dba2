#include "core/sharing/look_credit.h"

#include <gtest/gtest.h>

namespace ksocket {
namespace {

constexpr uint64_t kLook = 50'000, kWorth = 40'000;

// How many of so many chances it takes, each of which takes so long.
uint32_t taken(LookCredit& credit, uint32_t chances, bool finds, uint64_t elapsed_ns) {
  uint32_t out = 0;
  for (uint32_t i = 0; i < chances; i++) {
    if (!credit.pays()) continue;
    credit.note(finds, elapsed_ns);
    out++;
  }
  return out;
}

TEST(LookCredit, takes_every_chance_as_long_as_what_is_found_is_worth_it) {
  LookCredit credit(kLook, kWorth);
  EXPECT_EQ(credit.look_ns(), kLook);
  EXPECT_EQ(taken(credit, 1000, true, 0), 1000u);
  EXPECT_EQ(taken(credit, 1000, true, kWorth), 1000u);
}

TEST(LookCredit, is_patient_and_then_skips_more_and_more) {
  LookCredit credit(kLook, kWorth);
  EXPECT_EQ(taken(credit, LookCredit::kPatience, false, kLook), LookCredit::kPatience);
  for (uint32_t skipped = 1; skipped < 2 * LookCredit::kSkippedMax; skipped = skipped * 2 + 1) {
    EXPECT_EQ(taken(credit, 1, false, kLook), 1u) << skipped;
    uint32_t expected = skipped < LookCredit::kSkippedMax ? skipped : LookCredit::kSkippedMax;
    EXPECT_EQ(taken(credit, expected, false, kLook), 0u) << skipped;
  }
}

TEST(LookCredit, does_not_pay_where_what_is_found_takes_longer_than_it_is_worth) {
  LookCredit credit(kLook, kWorth);
  EXPECT_LT(taken(credit, 1000, true, kWorth + 5'000), 100u);
}

// A third of the looks finds something soon: less than the others cost.
TEST(LookCredit, does_not_pay_where_too_little_is_found_and_does_again_where_all_is) {
  LookCredit credit(kLook, kWorth);
  uint32_t looks = 0;
  for (uint32_t i = 0; i < 3000; i++) {
    if (!credit.pays()) continue;
    bool finds = looks++ % 3 == 0;
    credit.note(finds, finds ? 5'000 : kLook);
  }
  EXPECT_LT(looks, 150u);
  taken(credit, 2 * LookCredit::kSkippedMax, true, 5'000);
  EXPECT_EQ(taken(credit, 1000, true, 5'000), 1000u);
  // And it is as patient as in the beginning.
  EXPECT_EQ(taken(credit, LookCredit::kPatience, false, kLook), LookCredit::kPatience);
  EXPECT_EQ(taken(credit, 1, false, kLook), 1u);
  EXPECT_EQ(taken(credit, 2, false, kLook), 1u) << "one chance is skipped";
}

TEST(LookCredit, one_that_took_very_long_empties_the_account_and_no_more) {
  LookCredit credit(kLook, kWorth);
  credit.note(true, UINT64_MAX);
  EXPECT_EQ(taken(credit, 1000, true, 0), 1000u);
}

}  // namespace
}  // namespace ksocket
