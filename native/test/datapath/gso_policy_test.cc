#include "core/datapath/gso_policy.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>

#include "support/fake_engine.h"

namespace ksocket {
namespace {

// The n-th of many hosts.
Address host(int n, uint16_t port = 9) {
  return test::address_of(("10.0.0." + std::to_string(n)).c_str(), port);
}

GsoPolicy enabled() {
  GsoPolicy gso;
  gso.enabled = true;
  return gso;
}

TEST(GsoPolicy, allows_nothing_until_it_is_enabled) {
  GsoPolicy gso;
  EXPECT_FALSE(gso.allows(host(1), 1));
  gso.enabled = true;
  EXPECT_TRUE(gso.allows(host(1), 1));
  EXPECT_TRUE(gso.allows(host(1), UINT16_MAX));
}

TEST(GsoPolicy, takes_a_refusal_of_a_size_for_one_of_all_larger_sizes) {
  for (int error : {EINVAL, EMSGSIZE}) {
    GsoPolicy gso = enabled();
    gso.refused(host(1), 1472, error, 2);
    EXPECT_FALSE(gso.allows(host(1), 1472));
    EXPECT_FALSE(gso.allows(host(1), 9000));
    EXPECT_TRUE(gso.allows(host(1), 1471));
    gso.refused(host(1), 1000, error, 2);
    EXPECT_TRUE(gso.allows(host(1), 999));
    EXPECT_FALSE(gso.allows(host(1), 1000));
  }
}

TEST(GsoPolicy, takes_a_refusal_that_is_not_of_the_size_for_one_of_every_size) {
  for (int error : {EIO, EOPNOTSUPP, ENOPROTOOPT, EPERM, ENOBUFS}) {
    GsoPolicy gso = enabled();
    gso.refused(host(1), 1472, error, 2);
    EXPECT_FALSE(gso.allows(host(1), 1472));
    EXPECT_FALSE(gso.allows(host(1), 1));
  }
}

TEST(GsoPolicy, takes_a_refusal_for_one_of_that_host_on_all_of_its_ports) {
  GsoPolicy gso = enabled();
  gso.refused(host(1, 100), 1200, EIO, 2);
  EXPECT_FALSE(gso.allows(host(1, 200), 10));
  EXPECT_TRUE(gso.allows(host(2, 100), UINT16_MAX));
  EXPECT_TRUE(gso.allows(test::address_of("fe80::1", 100), UINT16_MAX));
}

TEST(GsoPolicy, remembers_as_many_hosts_as_it_has_room_for) {
  GsoPolicy gso = enabled();
  int max = GsoPolicy::kHostsMax;
  for (int i = 0; i < max; i++) gso.refused(host(i), 1000 + i, EMSGSIZE, 2);
  gso.refused(host(0), 500, EMSGSIZE, 2);  // once more, and it is the latest now
  for (int i = 1; i < max; i++) {
    EXPECT_TRUE(gso.allows(host(i), 999 + i));
    EXPECT_FALSE(gso.allows(host(i), 1000 + i));
  }
  EXPECT_FALSE(gso.allows(host(0), 500));
  EXPECT_TRUE(gso.allows(host(max), UINT16_MAX)) << "that is no reason against others";
}

TEST(GsoPolicy, takes_what_too_many_hosts_refuse_for_the_sockets_own) {
  GsoPolicy gso = enabled();
  int max = GsoPolicy::kHostsMax;
  for (int i = 0; i <= max; i++) gso.refused(host(i), 1200, EMSGSIZE, 2);
  EXPECT_FALSE(gso.allows(host(100), 1200));
  EXPECT_TRUE(gso.allows(host(100), 1199));
}

TEST(GsoPolicy, does_not_take_it_for_the_sockets_own_where_that_size_has_left_joined) {
  GsoPolicy gso = enabled();
  int max = GsoPolicy::kHostsMax;
  for (int i = 0; i <= 3 * max; i++) {
    gso.refused(host(i), 1200, EMSGSIZE, 2);
    gso.left(1200);
  }
  EXPECT_TRUE(gso.allows(host(100), 1200));
  EXPECT_FALSE(gso.allows(host(3 * max), 1200)) << "the latest are remembered";
  EXPECT_TRUE(gso.allows(host(0), 1200)) << "the oldest are not";
}

TEST(GsoPolicy, remembers_a_refusal_from_flush_to_flush) {
  GsoPolicy gso = enabled();
  gso.refused(host(1), 100, EIO, 2);
  for (int flush = 0; flush < 1000; flush++) gso.refresh();
  EXPECT_FALSE(gso.allows(host(1), 1));
}

TEST(GsoPolicy, joins_as_many_as_the_kernel_says) {
  GsoPolicy gso = enabled();
  EXPECT_EQ(gso.segments_max(), 64u);
  gso.refresh(128);
  EXPECT_EQ(gso.segments_max(), 128u);
}

TEST(GsoPolicy, takes_a_refusal_of_more_than_each_kernel_joins_for_one_of_the_number_and_for_good) {
  GsoPolicy gso = enabled();
  gso.refresh(128);
  gso.refused(host(1), 100, EINVAL, 65);
  EXPECT_EQ(gso.segments_max(), 64u);
  EXPECT_TRUE(gso.allows(host(1), UINT16_MAX)) << "it is not about the size";
  gso.refresh(128);
  EXPECT_EQ(gso.segments_max(), 64u);
  gso.refused(host(1), 100, EINVAL, 64);
  EXPECT_FALSE(gso.allows(host(1), 100)) << "so few are refused for their size";
}

TEST(GsoPolicy, takes_only_EINVAL_for_one_of_the_number) {
  for (int error : {EMSGSIZE, EIO, EPERM, ENOBUFS}) {
    GsoPolicy gso = enabled();
    gso.refresh(128);
    gso.refused(host(1), 100, error, 128);
    EXPECT_EQ(gso.segments_max(), 128u);
    EXPECT_FALSE(gso.allows(host(1), 100));
  }
}

TEST(GsoPolicy, stays_off_when_it_is_not_enabled_whatever_is_forgotten) {
  GsoPolicy gso;
  gso.refresh();
  EXPECT_FALSE(gso.allows(host(1), 1));
}

// The one test that takes its time: the route may have changed, so a refusal is forgotten after ten seconds.
TEST(GsoPolicy, tries_again_later) {
  GsoPolicy gso = enabled(), socket_wide = enabled();
  gso.refused(host(1), 100, EMSGSIZE, 2);
  for (int i = 0; i <= int{GsoPolicy::kHostsMax}; i++) socket_wide.refused(host(i), 100, EIO, 2);
  auto before = GsoPolicy::Clock::now();
  auto allowed = [&] { return gso.allows(host(1), 100) && socket_wide.allows(host(1), 100); };
  while (!allowed() && GsoPolicy::Clock::now() - before < 6 * GsoPolicy::kRetryAfter) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    gso.refresh();
    socket_wide.refresh();
  }
  EXPECT_TRUE(gso.allows(host(1), UINT16_MAX));
  EXPECT_TRUE(socket_wide.allows(host(100), UINT16_MAX));
  EXPECT_GE(GsoPolicy::Clock::now() - before, GsoPolicy::kRetryAfter - std::chrono::milliseconds(1));
}

}  // namespace
}  // namespace ksocket
