// What waits in the kernel when a socket closes.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "support/rx_rig.h"

namespace ksocket {
namespace {

using test::RxRig;

TEST(RxTurn, counts_what_waits_when_the_socket_closes) {
  RxRig rig;
  for (int i = 0; i < 100; i++) rig.arrive("x");
  rig.arrive(std::string(25, 'x'), 1000, 10);
  rig.turn.discard(rig.endpoint);
  EXPECT_EQ(rig.engine.waiting(rig.fd()), 0u);
  EXPECT_TRUE(rig.take().empty());
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], 103u);
  EXPECT_EQ(rig.counters[Counter::rx_close_drops], 103u);
  EXPECT_EQ(rig.turn.take_round().datagrams, 0u);
}

TEST(RxTurn, counts_what_waits_behind_an_error_when_the_socket_closes) {
  RxRig rig;
  rig.fail(ECONNREFUSED);
  rig.arrive("x");
  rig.turn.discard(rig.endpoint);
  EXPECT_EQ(rig.counters[Counter::rx_close_drops], 1u);
}

TEST(RxTurn, leaves_what_waits_to_others_who_have_the_socket) {
  RxRig rig;
  rig.endpoint.held_elsewhere = true;
  rig.arrive("x");
  rig.turn.discard(rig.endpoint);
  EXPECT_EQ(rig.engine.waiting(rig.fd()), 1u);
  EXPECT_EQ(rig.counters[Counter::rx_close_drops], 0u);
}

// More comes as fast as it is read.
class EndlessEngine : public test::FakeEngine {
 public:
  int receive(int fd, std::span<Message> messages) override {
    for (size_t i = 0; i < messages.size(); i++) {
      arrive(fd, {"x", test::address_of("127.0.0.1", 1000), 0, {}, 0});
    }
    return FakeEngine::receive(fd, messages);
  }
};

TEST(RxTurn, closes_in_a_flood_that_cannot_be_stopped) {
  RxRig rig;
  EndlessEngine engine;
  RxTurn turn(engine, rig.ring, rig.peers, rig.flush, rig.thread_counters);
  ASSERT_NE(stop_arrivals(rig.fd()), 0);
  turn.discard(rig.endpoint);
  uint64_t dropped = rig.counters[Counter::rx_close_drops];
  EXPECT_EQ(dropped % RxBatch::kSlots, 0u);
  EXPECT_GE(dropped, 4u << 20 >> 8) << "all of a large buffer";
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], dropped);
}

}  // namespace
}  // namespace ksocket
