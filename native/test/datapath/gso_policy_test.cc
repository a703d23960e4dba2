#include "core/datapath/gso_policy.h"

#include <gtest/gtest.h>

#include <thread>

namespace ksocket {
namespace {

GsoPolicy enabled() {
  GsoPolicy gso;
  gso.enabled = true;
  return gso;
}

TEST(GsoPolicy, allows_nothing_until_it_is_enabled) {
  GsoPolicy gso;
  EXPECT_FALSE(gso.allows(1));
  gso.enabled = true;
  EXPECT_TRUE(gso.allows(1));
  EXPECT_TRUE(gso.allows(UINT16_MAX));
}

TEST(GsoPolicy, takes_a_refusal_of_a_size_for_one_of_all_larger_sizes) {
  for (int error : {EINVAL, EMSGSIZE}) {
    GsoPolicy gso = enabled();
    gso.refused(1472, error);
    EXPECT_FALSE(gso.allows(1472));
    EXPECT_FALSE(gso.allows(9000));
    EXPECT_TRUE(gso.allows(1471));
    gso.refused(1000, error);
    EXPECT_TRUE(gso.allows(999));
    EXPECT_FALSE(gso.allows(1000));
  }
}

TEST(GsoPolicy, takes_a_refusal_of_the_device_for_one_of_every_size) {
  for (int error : {EIO, EOPNOTSUPP, ENOPROTOOPT}) {
    GsoPolicy gso = enabled();
    gso.refused(1472, error);
    EXPECT_FALSE(gso.allows(1472));
    EXPECT_FALSE(gso.allows(1));
  }
}

TEST(GsoPolicy, remembers_a_refusal_from_flush_to_flush) {
  GsoPolicy gso = enabled();
  gso.refused(100, EIO);
  for (int flush = 0; flush < 1000; flush++) gso.refresh();
  EXPECT_FALSE(gso.allows(1));
}

TEST(GsoPolicy, stays_off_when_it_is_not_enabled_whatever_is_forgotten) {
  GsoPolicy gso;
  gso.refresh();
  EXPECT_FALSE(gso.allows(1));
}

// The one test that takes its time: the route may have changed, so a refusal is forgotten after ten seconds.
TEST(GsoPolicy, tries_again_later) {
  GsoPolicy gso = enabled();
  gso.refused(100, EMSGSIZE);
  auto before = GsoPolicy::Clock::now();
  while (!gso.allows(100) && GsoPolicy::Clock::now() - before < 6 * GsoPolicy::kRetryAfter) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    gso.refresh();
  }
  EXPECT_TRUE(gso.allows(UINT16_MAX));
  EXPECT_GE(GsoPolicy::Clock::now() - before, GsoPolicy::kRetryAfter - std::chrono::milliseconds(1));
}

}  // namespace
}  // namespace ksocket
