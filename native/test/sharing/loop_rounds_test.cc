// A round, of the loop or of the thread: what counts as one, that what is gone has none, and who waits behind
// it.
#include <gtest/gtest.h>

#include "core/sharing/loop_sharing.h"
#include "support/sharing_rig.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::SharingRig;

TEST(LoopRounds, each_turn_of_a_socket_is_one_and_each_second_look_that_finds_something) {
  SharingRig rig;
  auto socket = rig.add();
  for (uint64_t round = 1; round <= 3; round++) {
    rig.send(*socket, 2);
    EXPECT_TRUE(rig.receive_on_loop(*socket));
    EXPECT_EQ(rig.loop_rounds(), round);
  }
  EXPECT_EQ(rig.look_now(), Look::nothing);
  EXPECT_EQ(rig.loop_rounds(), 3u);
  rig.send(*socket, 2);
  EXPECT_EQ(rig.look_now(), Look::found);
  EXPECT_EQ(rig.loop_rounds(), 4u);
}

// A listener of the same turn has closed it.
TEST(LoopRounds, a_socket_that_is_gone_since_the_loop_was_told_of_it_has_nothing_to_read) {
  SharingRig rig;
  auto socket = rig.add();
  uint32_t place = socket->sharing.place;
  rig.send(*socket);
  ASSERT_TRUE(rig.tells_loop(*socket));
  {
    LoopSharing::LoopLock lock(rig.sharing);
    rig.sharing.remove(*socket);
  }
  EXPECT_FALSE(rig.sharing.receive_on_loop(place));
  EXPECT_EQ(rig.loop_rounds(), 0u);
  EXPECT_EQ(socket->counters.get(Counter::rx_calls), 0u);
}

// The kernel filled it, so more waits there already.
TEST(ThreadRounds, behind_a_full_one_nobody_waits_and_no_wait_is_counted) {
  SharingRig rig;
  auto socket = rig.add();
  EXPECT_TRUE(test::eventually([&] {  // on a busy machine the loop may get its sockets back
    rig.let_the_thread_own(*socket);
    uint64_t before = rig.moderations();
    rig.send(*socket, 2 * RxBatch::kSlots);
    rig.receive_on_thread(*socket);
    EXPECT_EQ(rig.moderations(), before);
    return !rig.sharing.loop_owns();
  }));
}

}  // namespace
}  // namespace ksocket
