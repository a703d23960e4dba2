// What an exchange's tokens are taken for and what earns some, to the token: the clock stands still.
#include <gtest/gtest.h>

#include <string>

#include "core/answer/protection/exchanges.h"
#include "support/fake_engine.h"

namespace ksocket {
namespace {

class Exchanging {
 public:
  explicit Exchanging(RateLimit limit) : exchanges_(limit, 1) {}

  bool answers(const std::string& payload) {
    return exchanges_.admits(exchange(), {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()},
                             1, kNow);
  }
  // How many answers it gets to this, until there is none.
  int answers_in_a_row(const std::string& payload) {
    int count = 0;
    while (count < 10'000 && answers(payload)) count++;
    return count;
  }
  bool listens() { return exchanges_.listens(exchange()); }

 private:
  static constexpr uint64_t kNow = 1'000'000'000;

  Exchanges::Exchange& exchange() { return exchanges_.find(test::address_of("127.0.0.1", 4000), kNow); }

  Exchanges exchanges_;
};

TEST(ExchangeTokens, one_payload_again_and_again_gets_the_burst) {
  EXPECT_EQ(Exchanging({100, 1000}).answers_in_a_row("same"), 1000);
}

TEST(ExchangeTokens, each_payload_that_was_not_there_before_earns_128_but_the_first) {
  Exchanging peer({100, 1000});
  for (int i = 0; i < 900; i++) ASSERT_TRUE(peer.answers("first")) << i;
  EXPECT_TRUE(peer.answers("second"));
  EXPECT_TRUE(peer.answers("second"));
  EXPECT_TRUE(peer.answers("third"));
  EXPECT_EQ(peer.answers_in_a_row("first"), 1000 + 2 * 128 - 903);
}

TEST(ExchangeTokens, a_second_payload_is_enough_to_earn_some) {
  Exchanging peer({100, 1000});
  for (int i = 0; i < 900; i++) ASSERT_TRUE(peer.answers("first")) << i;
  EXPECT_TRUE(peer.answers("second"));
  EXPECT_EQ(peer.answers_in_a_row("first"), 1000 + 128 - 901);
}

// It repeats nothing, so it is no sign of a loop.
TEST(ExchangeTokens, a_payload_that_was_not_there_before_is_answered_without_a_token) {
  Exchanging peer({1, 4});
  for (int i = 0; i < 4; i++) ASSERT_TRUE(peer.answers("unseen while there are tokens")) << i;
  EXPECT_TRUE(peer.answers("new"));
  EXPECT_FALSE(peer.answers("new"));
}

TEST(ExchangeTokens, what_we_say_is_remembered_once_less_than_half_of_them_is_left) {
  Exchanging peer({100, 1000});
  for (int i = 0; i < 500; i++) {
    EXPECT_TRUE(peer.answers("same"));
    EXPECT_FALSE(peer.listens()) << i;
  }
  EXPECT_TRUE(peer.answers("same"));
  EXPECT_TRUE(peer.listens());
}

}  // namespace
}  // namespace ksocket
