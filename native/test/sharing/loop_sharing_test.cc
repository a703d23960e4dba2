// LoopSharing step by step: the test is the event loop and the I/O thread at once, on real sockets.
#include "core/sharing/loop_sharing.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "support/loopback.h"
#include "support/sharing_rig.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::eventually;
using test::name_of;
using test::SharingRig;

// ---- who is told

TEST(FreshSockets, there_are_none_without_a_timer) {
  SharingRig rig;
  FreshSockets fresh;
  EXPECT_FALSE(fresh.add(rig.make()));
  EXPECT_TRUE(fresh.take().empty());
}

TEST(LoopSharing, tells_only_the_loop_of_a_fresh_socket) {
  SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  EXPECT_TRUE(rig.tells_loop(*socket));
  EXPECT_FALSE(rig.tells_thread(*socket));
  EXPECT_FALSE(rig.asked_before_poll) << "the loop is told already";
}

TEST(LoopSharing, tells_only_the_thread_once_it_owns_the_sockets) {
  SharingRig rig;
  auto busy = rig.add(), fresh = rig.add();
  rig.let_the_thread_own(*busy);
  rig.send(*busy);
  rig.send(*fresh);
  for (const auto& socket : {busy, fresh}) {
    EXPECT_FALSE(rig.tells_loop(*socket)) << socket->id;
    EXPECT_TRUE(rig.tells_thread(*socket)) << socket->id;
  }
}

TEST(LoopSharing, tells_only_the_thread_of_a_socket_that_comes_while_it_owns_the_others) {
  SharingRig rig;
  auto busy = rig.add();
  rig.let_the_thread_own(*busy);
  auto later = rig.add();
  EXPECT_TRUE(later->sharing.shared);
  rig.send(*later);
  EXPECT_FALSE(rig.tells_loop(*later));
  EXPECT_TRUE(rig.tells_thread(*later)) << "at once: no loop looks after it meanwhile";
  // The loop gets it with the others.
  rig.let_the_loop_own(*busy);
  EXPECT_TRUE(rig.tells_loop(*later));
}

TEST(LoopSharing, asks_the_loop_for_a_call_where_it_has_no_place_left) {
  SharingRig rig;
  std::vector<std::shared_ptr<Endpoint>> sockets;
  for (size_t i = 0; i < kLimits.places_max; i++) sockets.push_back(rig.add());
  EXPECT_FALSE(rig.asked_before_poll);
  auto beyond = rig.add();
  EXPECT_FALSE(beyond->sharing.shared);
  EXPECT_TRUE(rig.asked_before_poll);
  rig.send(*beyond);
  EXPECT_FALSE(rig.tells_thread(*beyond));
  rig.sharing.before_poll();
  EXPECT_TRUE(rig.tells_thread(*beyond));
}

TEST(LoopSharing, leaves_a_socket_to_the_thread_that_the_loop_cannot_take_back) {
  SharingRig rig;
  auto busy = rig.add(), lost = rig.add();
  rig.let_the_thread_own(*busy);
  EXPECT_FALSE(rig.watches.has_sole_duty());
  // As if libuv watched it by now: the loop's instance has it already.
  rig.watch_otherwise(lost->fd.get());
  rig.let_the_loop_own(*busy);
  EXPECT_TRUE(busy->sharing.shared);
  EXPECT_FALSE(lost->sharing.shared);
  EXPECT_TRUE(rig.watches.has_sole_duty());
  rig.send(*lost);
  EXPECT_TRUE(rig.tells_thread(*lost));
  uint32_t place = lost->sharing.place;
  std::vector<uint32_t> places;
  for (int i = 0; i < 2; i++) places.push_back(rig.add()->sharing.place);
  EXPECT_EQ(std::count(places.begin(), places.end(), place), 1) << "another may have its place";
}

TEST(LoopSharing, tells_nobody_of_a_dead_descriptor) {
  SharingRig rig;
  auto socket = rig.add();
  // What a program may do to a descriptor that it was told of: now it is a file of another kind.
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  Fd read_end(pipe_ends[0]), write_end(pipe_ends[1]);
  Fd kept(dup(socket->fd.get()));
  rig.send(*socket);
  ASSERT_EQ(dup2(read_end.get(), socket->fd.get()), socket->fd.get());
  EXPECT_TRUE(rig.receive_on_loop(*socket)) << "the error is a record";
  EXPECT_EQ(rig.records, 1u);
  EXPECT_EQ(socket->watch.interest, kNothing);
  EXPECT_EQ(rig.worked_off, std::vector<uint32_t>{socket->id});
}

// It is readable for ever and has nothing: that would keep the loop, JavaScript's thread, at it.
void take_from_the_loop(SharingRig& rig, const Endpoint& socket, const Endpoint& other) {
  shutdown(socket.fd.get(), SHUT_RD);
  int turns = 0;
  for (; turns < 1000 && socket.sharing.shared; turns++) {
    ASSERT_TRUE(rig.tells_loop(socket));
    EXPECT_FALSE(rig.receive_on_loop(socket));
  }
  EXPECT_LT(turns, 1000);
  EXPECT_FALSE(rig.tells_loop(socket));
  EXPECT_FALSE(rig.tells_thread(socket)) << "not now";
  EXPECT_EQ(rig.postponed, std::vector<uint32_t>{socket.id});
  EXPECT_TRUE(other.sharing.shared);
}

TEST(LoopSharing, takes_a_fresh_socket_from_the_loop_that_has_nothing_each_time) {
  SharingRig rig;
  auto socket = rig.add(), other = rig.add();
  take_from_the_loop(rig, *socket, *other);
}

TEST(LoopSharing, takes_a_watched_socket_from_the_loop_that_has_nothing_each_time) {
  SharingRig rig;
  auto socket = rig.add(), other = rig.add();
  rig.watch_fresh();
  shutdown(socket->fd.get(), SHUT_RD);
  ASSERT_TRUE(rig.tells_thread(*socket)) << "the thread would run for ever, too";
  take_from_the_loop(rig, *socket, *other);
  // Later it is watched again.
  EXPECT_EQ(rig.watches.set(*socket, kReadable, kNothing), 0);
  EXPECT_TRUE(rig.tells_thread(*socket));
}

// The kernel woke the loop, and only the loop: the thread's entry is told nothing until it is a new one.
TEST(LoopSharing, hands_over_what_only_the_loop_was_told_of) {
  SharingRig rig;
  auto busy = rig.add(), quiet = rig.add();
  rig.watch_fresh();
  rig.send_to_a_loop_asleep(*quiet);
  ASSERT_TRUE(rig.tells_loop(*quiet));
  ASSERT_FALSE(rig.tells_thread(*quiet));
  rig.let_the_thread_own(*busy);
  EXPECT_FALSE(rig.tells_loop(*quiet));
  EXPECT_TRUE(rig.tells_thread(*quiet));
}

// Nobody but the loop was told: it has to read first, and then receives what is left.
TEST(LoopSharing, has_a_full_ring_read) {
  SharingRig rig;
  auto socket = rig.add();
  for (uint32_t records = 0; records < SharingRig::kSlots; records += RxBatch::kSlots) {
    rig.send(*socket, RxBatch::kSlots);
    ASSERT_TRUE(rig.sharing.receive_on_loop(socket->sharing.place));
  }
  rig.send(*socket);
  EXPECT_TRUE(rig.sharing.receive_on_loop(socket->sharing.place));
  EXPECT_EQ(socket->counters.get(Counter::rx_datagrams), SharingRig::kSlots);
  rig.drain();
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  EXPECT_EQ(rig.records, SharingRig::kSlots + 1);
  EXPECT_FALSE(rig.receive_on_loop(*socket)) << "nothing is left to read";
}

// ---- the timer of fresh sockets

TEST(LoopSharing, watches_fresh_sockets_when_their_time_is_over) {
  SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  rig.watch_fresh();
  EXPECT_TRUE(rig.tells_thread(*socket));
  // And those that come afterwards: the timer is set again.
  auto later = rig.add();
  rig.send(*later);
  EXPECT_FALSE(rig.tells_thread(*later));
  rig.watch_fresh();
  EXPECT_TRUE(rig.tells_thread(*later));
}

TEST(LoopSharing, leaves_fresh_sockets_to_whoever_serves_the_other_events) {
  SharingRig rig;
  auto fresh = rig.add();
  Event events[] = {{.token = 7, .readable = true, .writable = false},
                    {.token = kFreshTimerToken, .readable = true, .writable = false},
                    {.token = 8, .readable = true, .writable = false}};
  ASSERT_EQ(rig.sharing.take_timer(events), 2u);
  EXPECT_EQ(events[0].token, 7u);
  EXPECT_EQ(events[1].token, 8u);
  LoopSharing::ThreadLock lock(rig.sharing);
  EXPECT_EQ(rig.sharing.take_fresh(), Endpoints{fresh});
  EXPECT_TRUE(rig.sharing.take_fresh().empty());
}

// ---- the vigil

TEST(LoopSharing, stands_in_until_the_loop_comes) {
  SharingRig rig;
  auto socket = rig.add();
  EXPECT_TRUE(rig.sharing.leave_to_loop()) << "a moment";
  EXPECT_FALSE(rig.sharing.leave_to_loop()) << "it did not come";
  EXPECT_FALSE(rig.sharing.leave_to_loop());
  rig.receive_on_loop(*socket);
  EXPECT_TRUE(rig.sharing.leave_to_loop());
  EXPECT_FALSE(rig.sharing.leave_to_loop());
}

TEST(LoopSharing, waits_for_nobody_when_the_thread_owns_the_sockets_or_has_other_work) {
  SharingRig rig;
  auto socket = rig.add();
  rig.interrupted = true;
  EXPECT_FALSE(rig.sharing.leave_to_loop());
  rig.interrupted = false;
  rig.let_the_thread_own(*socket);
  EXPECT_FALSE(rig.sharing.leave_to_loop());
}

// It may have to wait for a processor itself.
TEST(LoopSharing, gives_a_saturated_loop_a_time_slice) {
  SharingRig rig;
  auto socket = rig.add();
  // How long the loop's moment was once it has got the sockets back from filled rounds, with which JavaScript
  // keeps up. On a slow machine not each of them is taken for a flood; if too few are, that is not why it got
  // them.
  auto moment_ns = [&] {
    rig.let_the_thread_own(*socket);
    for (uint32_t i = 0; i <= 100 * kLimits.eager_rounds && !rig.sharing.loop_owns(); i++) {
      rig.send(*socket, 2 * RxBatch::kSlots);
      rig.receive_on_thread(*socket, true);
      rig.receive_on_thread(*socket, true);
    }
    EXPECT_TRUE(rig.sharing.loop_owns());
    uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
    EXPECT_TRUE(rig.sharing.leave_to_loop());
    return clock_ns(CLOCK_MONOTONIC) - before_ns;
  };
  uint64_t longest_ns = 0;
  for (int i = 0; i < 5 && longest_ns < kLimits.grace_saturated_ns; i++) {
    longest_ns = std::max(longest_ns, moment_ns());
    rig.receive_on_loop(*socket);  // it came
  }
  EXPECT_GE(longest_ns, kLimits.grace_saturated_ns);
}

// A loop that comes all the time keeps an I/O thread dozing. Says `wake` in the middle of it, some times; how
// often it dozed on though.
int dozes_on(SharingRig& rig, const std::function<void(bool)>& wake) {
  constexpr int kTimes = 5, kDozes = 3;
  auto socket = rig.add();
  std::atomic<bool> over{false};
  std::thread loop([&] {
    // It would lose a socket that never has anything, and leave one that has something all the time to the
    // thread: so both rounds and datagrams come at a pace of their own, however fast the machine is.
    constexpr uint64_t kRoundNs = kLimits.leave_gap_ns / 2, kRoundsADatagram = 10;
    uint64_t next_ns = clock_ns(CLOCK_MONOTONIC);
    for (uint64_t i = 0; !over; i++) {
      if (i % kRoundsADatagram == 0) rig.send(*socket);
      for (; clock_ns(CLOCK_MONOTONIC) < next_ns;)
        ;
      next_ns = clock_ns(CLOCK_MONOTONIC) + kRoundNs;
      rig.receive_on_loop(*socket);
    }
  });
  int looks, on = 0;
  bool woken;
  rig.on_look = [&] {  // before the grace, and before each doze
    on += woken;
    if (looks++ < kDozes || woken) return;
    woken = true;
    wake(true);
  };
  int times = 0;
  // On a busy machine, where the loop does not run all the time, not each vigil is a doze.
  EXPECT_TRUE(eventually([&] {
    looks = 0;
    woken = false;
    rig.sharing.leave_to_loop();
    times += woken;
    wake(false);
    return times == kTimes;
  })) << "it dozed "
      << times << " times";
  over = true;
  loop.join();
  return on;
}

TEST(LoopSharing, dozes_no_longer_when_there_is_something_that_only_the_thread_does) {
  SharingRig rig;
  auto alone = rig.make();
  int on = dozes_on(rig, [&](bool wake) {
    rig.watches.set(*alone, wake ? kReadable : kNothing, wake ? kNothing : kReadable);
  });
  EXPECT_EQ(on, 0);
  std::lock_guard lock(alone->watch.mutex);
  rig.watches.forget(*alone);
  EXPECT_FALSE(rig.watches.has_sole_duty());
}

TEST(LoopSharing, dozes_no_longer_when_it_is_asked_to_resume_or_to_stop) {
  SharingRig rig;
  EXPECT_EQ(dozes_on(rig, [&](bool wake) { rig.interrupted = wake; }), 0);
}

}  // namespace
}  // namespace ksocket
