// What the engine is told to watch, on the fake engine.
#include "core/endpoint/watches.h"

#include <gtest/gtest.h>

#include <optional>

#include "support/fake_engine.h"
#include "support/ring_memory.h"

namespace ksocket {
namespace {

class WatchesTest : public testing::Test {
 protected:
  std::optional<uint32_t> interest() { return engine.interest(endpoint.fd.get()); }

  test::FakeEngine engine;
  test::CounterRow counters;
  Watches watches{engine};
  Endpoint endpoint{1, 4, test::dummy_fd(), counters};
};

TEST_F(WatchesTest, adds_and_removes_interest) {
  EXPECT_EQ(interest(), std::nullopt);
  EXPECT_EQ(watches.set(endpoint, kReadable, kNothing), 0);
  EXPECT_EQ(interest(), kReadable);
  EXPECT_EQ(watches.set(endpoint, kWritable, kNothing), 0);
  EXPECT_EQ(interest(), kReadable | kWritable);
  EXPECT_EQ(watches.set(endpoint, kNothing, kReadable), 0);
  EXPECT_EQ(interest(), kWritable);
}

TEST_F(WatchesTest, tells_the_engine_later_what_is_planned) {
  watches.plan(endpoint, kReadable);
  EXPECT_EQ(interest(), std::nullopt);
  {
    std::lock_guard lock(endpoint.watch.mutex);
    watches.renew(endpoint);
  }
  EXPECT_EQ(interest(), std::nullopt) << "there is nothing to renew";
  EXPECT_EQ(watches.set(endpoint, kNothing, kNothing), 0);
  EXPECT_EQ(interest(), kReadable);
}

TEST_F(WatchesTest, tries_again_ever_more_rarely_until_it_succeeds) {
  uint64_t first = watches.retry_ns(endpoint);
  EXPECT_EQ(watches.retry_ns(endpoint), 2 * first);
  EXPECT_EQ(watches.set(endpoint, kReadable, kNothing), 0);
  EXPECT_EQ(watches.retry_ns(endpoint), first);
}

TEST_F(WatchesTest, knows_what_only_the_thread_would_notice) {
  auto duty_after = [&](bool shared, uint32_t add, uint32_t remove) {
    endpoint.sharing.shared = shared;
    watches.set(endpoint, add, remove);
    return watches.has_sole_duty();
  };
  EXPECT_TRUE(duty_after(false, kReadable, kNothing));
  EXPECT_FALSE(duty_after(false, kNothing, kReadable)) << "paused";
  EXPECT_FALSE(duty_after(true, kReadable, kNothing)) << "the loop receives, too";
  EXPECT_TRUE(duty_after(true, kWritable, kNothing)) << "a backlog is the thread's";
  EXPECT_FALSE(duty_after(true, kNothing, kWritable));
}

TEST_F(WatchesTest, forgets_a_socket_that_is_closed) {
  watches.set(endpoint, kReadable, kNothing);
  {
    std::lock_guard lock(endpoint.watch.mutex);
    watches.forget(endpoint);
    EXPECT_EQ(interest(), std::nullopt);
    endpoint.fd.reset();
  }
  EXPECT_FALSE(watches.has_sole_duty());
  EXPECT_EQ(watches.set(endpoint, kWritable, kNothing), 0) << "nothing happens";
  EXPECT_FALSE(watches.has_sole_duty());
}

}  // namespace
}  // namespace ksocket
