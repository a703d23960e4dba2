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

}  // namespace
}  // namespace ksocket
