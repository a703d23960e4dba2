#include "core/thread/ticker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace ksocket {
namespace {

TEST(Ticker, nobody_is_waited_for_without_a_responder_that_wants_it) {
  EXPECT_EQ(Ticker{}.timeout_ms(), -1);
}

// Whatever has come in the meantime: else rare events put it off for up to two seconds.
TEST(Ticker, the_thread_waits_no_longer_than_until_the_next_time) {
  Ticker ticker;
  ticker.add({});
  EXPECT_EQ(ticker.timeout_ms(), 0);
  ticker.tick();
  EXPECT_GT(ticker.timeout_ms(), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ticker.tick();
  EXPECT_LE(ticker.timeout_ms(), Ticker::kTickMs - 99);
}

}  // namespace
}  // namespace ksocket
