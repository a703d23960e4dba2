// Random rules and random frames: the kernel does what the rules literally say, and what the thread does.
// KSOCKET_XDP_PAIRS says how many.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "support/rules_random.h"
#include "support/xdp_agreement.h"
#include "support/xdp_kernel.h"

namespace ksocket::xdp {
namespace {

uint64_t wanted_pairs() {
  const char* given = std::getenv("KSOCKET_XDP_PAIRS");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20'000;
}

uint32_t seed() {
  const char* given = std::getenv("KSOCKET_XDP_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : 16;
}

TEST(XdpAgreement, the_kernel_does_what_the_rules_say_and_the_thread_does) {
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why;
  test::Random random(seed());
  test::XdpPairs pairs;
  // Loading a set takes as long as hundreds of frames.
  uint64_t wanted = wanted_pairs();
  int frames = static_cast<int>(std::clamp<uint64_t>(wanted / 200, 100, 1000));
  for (int set = 0; pairs.all() < wanted; set++) {
    rules::RuleSpec spec = test::random_spec(random, random.one_in(10) ? 60 : 8);
    ASSERT_EQ(test::xdp_disagreement(spec, random, frames, &pairs), "") << "set " << set;
  }
  // All of it has happened.
  EXPECT_GT(pairs.passed, wanted / 20);
  EXPECT_GT(pairs.flawed, wanted / 20);
  EXPECT_GT(pairs.dropped, wanted / 20);
  EXPECT_GT(pairs.answered, wanted / 20);
  EXPECT_GT(pairs.refused, wanted / 1000);
}

}  // namespace
}  // namespace ksocket::xdp
