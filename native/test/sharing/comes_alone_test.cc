// Where datagrams come one at a time, the loop does not ask for a second one.
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/sharing/limits.h"
#include "support/sharing_rig.h"

namespace ksocket::test {

namespace {

void rest() {
  usleep(static_cast<useconds_t>(kLimits.rest_ns / 1000 + 50));
}

// `rounds` of the loop with one datagram each, and a rest before the next.
void dribble(SharingRig& rig, const Endpoint& socket, uint32_t rounds) {
  for (uint32_t i = 0; i < rounds; i++) {
    rig.send(socket);
    ASSERT_TRUE(rig.receive_on_loop(socket));
    rest();
  }
}

// Three come, and so many of them are read at once.
size_t read_of_three(SharingRig& rig, const Endpoint& socket) {
  size_t before = rig.records;
  rig.send(socket, 3);
  EXPECT_TRUE(rig.receive_on_loop(socket));
  return rig.records - before;
}

}  // namespace

TEST(ComesAlone, after_some_that_did_and_a_rest_one_is_read) {
  SharingRig rig;
  auto socket = rig.add();
  dribble(rig, *socket, kLimits.lone_rounds);
  EXPECT_EQ(read_of_three(rig, *socket), 1u);
  EXPECT_TRUE(rig.tells_loop(*socket)) << "the kernel says that there is more";
  EXPECT_TRUE(rig.receive_on_loop(*socket)) << "at once, so it was no lone one";
  EXPECT_EQ(rig.records, kLimits.lone_rounds + 3u);
}

TEST(ComesAlone, not_before_that) {
  SharingRig rig;
  auto socket = rig.add();
  dribble(rig, *socket, kLimits.lone_rounds - 1);
  EXPECT_EQ(read_of_three(rig, *socket), 3u);
}

TEST(ComesAlone, not_behind_a_burst) {
  SharingRig rig;
  auto socket = rig.add();
  dribble(rig, *socket, kLimits.lone_rounds);
  rig.send(*socket, 3);
  while (rig.receive_on_loop(*socket)) {
  }
  rest();
  EXPECT_EQ(read_of_three(rig, *socket), 3u);
}

TEST(ComesAlone, behind_a_burst_only_after_as_many_as_at_first) {
  SharingRig rig;
  auto socket = rig.add();
  EXPECT_EQ(read_of_three(rig, *socket), 3u);
  rest();
  dribble(rig, *socket, kLimits.lone_rounds - 1);
  EXPECT_EQ(read_of_three(rig, *socket), 3u);
}

TEST(ComesAlone, is_no_full_round) {
  SharingRig rig;
  auto socket = rig.add();
  dribble(rig, *socket, 4 * kLimits.patience_datagrams_min);
  EXPECT_TRUE(rig.sharing.loop_owns());
}

}  // namespace ksocket::test
