// The event loop looks at its sockets once more before it sleeps: which, when, and as long as it pays.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "core/base/clock.h"
#include "core/sharing/loop_sharing.h"
#include "support/sharing_rig.h"

namespace ksocket {
namespace {

using test::SharingRig;

TEST(LoopSharing, finds_what_came_meanwhile_without_being_told) {
  SharingRig rig;
  auto one = rig.add(), other = rig.add();
  EXPECT_EQ(rig.look_now(), Look::nothing) << "no socket has had anything";
  for (const auto& socket : {one, other}) {
    rig.send(*socket);
    EXPECT_TRUE(rig.receive_on_loop(*socket));
  }
  rig.send(*one, 2);
  rig.send(*other, 3);
  EXPECT_EQ(rig.look_now(), Look::found);
  EXPECT_EQ(rig.records, 7u) << "of both sockets";
  EXPECT_EQ(rig.look_now(), Look::nothing);
}

TEST(LoopSharing, looks_again_at_few_sockets_the_latest_ones) {
  SharingRig rig;
  std::vector<std::shared_ptr<Endpoint>> sockets;
  for (size_t i = 0; i <= kLimits.recent_places; i++) sockets.push_back(rig.add());
  for (const auto& socket : sockets) {
    rig.send(*socket);
    rig.receive_on_loop(*socket);
  }
  rig.send(*sockets.front());
  EXPECT_EQ(rig.look_now(), Look::nothing);
  rig.send(*sockets.back());
  EXPECT_EQ(rig.look_now(), Look::found);
}

TEST(LoopSharing, does_not_look_again_while_something_is_unread) {
  SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  ASSERT_TRUE(rig.sharing.receive_on_loop(socket->sharing.place));
  rig.send(*socket);
  EXPECT_EQ(rig.look_now(), Look::not_now);
  rig.drain();
  EXPECT_EQ(rig.look_now(), Look::found);
}

TEST(LoopSharing, does_not_look_again_at_sockets_of_the_thread) {
  SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  rig.let_the_thread_own(*socket);
  EXPECT_EQ(rig.look_now(), Look::not_now);
  EXPECT_EQ(rig.sharing.look_again(true), Look::not_now);
}

TEST(LoopSharing, does_not_look_again_at_a_socket_that_is_gone) {
  SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  rig.send(*socket);
  {
    LoopSharing::LoopLock lock(rig.sharing);
    rig.sharing.remove(*socket);
  }
  EXPECT_EQ(rig.look_now(), Look::nothing);
}

// Nobody has said that it is ready, so it is not strange that it is not.
TEST(LoopSharing, gives_up_no_socket_because_second_looks_find_nothing) {
  SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  for (int i = 0; i < 1000; i++) EXPECT_EQ(rig.look_now(), Look::nothing);
  EXPECT_TRUE(socket->sharing.shared);
  rig.send(*socket);
  EXPECT_TRUE(rig.tells_loop(*socket));
}

TEST(LoopSharing, waits_a_moment_for_the_answer_to_what_was_sent) {
  SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
  EXPECT_EQ(rig.sharing.look_again(true), Look::nothing);
  EXPECT_GE(clock_ns(CLOCK_MONOTONIC) - before_ns, kLimits.answer_ns);
  rig.send(*socket);
  EXPECT_EQ(rig.sharing.look_again(false), Look::found);
}

TEST(LoopSharing, ends_looking_again_where_it_does_not_pay) {
  SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  uint64_t before = socket->counters.get(Counter::rx_calls);
  for (int i = 0; i < 10'000; i++) EXPECT_EQ(rig.sharing.look_again(false), Look::nothing);
  EXPECT_LT(socket->counters.get(Counter::rx_calls) - before, 100u);
}

}  // namespace
}  // namespace ksocket
