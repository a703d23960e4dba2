#include "core/base/backoff.h"

#include <gtest/gtest.h>

#include <vector>

namespace ksocket {
namespace {

TEST(Backoff, waits_a_millisecond_and_twice_as_long_each_time_up_to_its_limit) {
  Backoff backoff;
  std::vector<uint64_t> waits_ms;
  for (int i = 0; i < 10; i++) waits_ms.push_back(backoff.next_ns(128'000'000) / 1'000'000);
  EXPECT_EQ(waits_ms, (std::vector<uint64_t>{1, 2, 4, 8, 16, 32, 64, 128, 128, 128}));
  backoff.reset();
  EXPECT_EQ(backoff.next_ns(128'000'000), 1'000'000u);
}

}  // namespace
}  // namespace ksocket
