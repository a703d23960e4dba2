// When the event loop and the I/O thread hand sockets over to each other, and sockets that the thread does
// not watch yet.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "support/engines.h"
#include "support/event_loop.h"
#include "support/gated_engine.h"
#include "support/loopback.h"
#include "support/process.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::EventLoop;
using test::eventually;
using test::get;
using test::name_of;
using test::Peer;

// The kernel told the loop, and only the loop, of a datagram that then found the ring full. When the loop
// hands over to the thread nobody else knows of it. The thread stands before the gate.
void hand_over_what_the_loop_has_not_read(EventLoop& loop, test::GatedEngine& gated, Endpoint& flooded,
                                          Endpoint& single) {
  Address to_flooded = name_of(flooded.fd.get()), to_single = name_of(single.fd.get());
  Peer peer;
  pid_t tid = gettid();
  std::thread sender([&] {
    EXPECT_TRUE(eventually([&] { return test::sleeps(tid); }));
    EXPECT_TRUE(peer.send(to_single, "single"));
  });
  EXPECT_GT(loop.sleep(), 0);
  sender.join();

  // Each round the flood fills the ring, until that is reason enough to leave.
  size_t flood = 0;
  do {
    loop.rig->drain();
    for (int i = 0; i < 8; i++, flood++) ASSERT_TRUE(peer.send(to_flooded, "flood"));
    loop.rig->thread.receive_on_loop(flooded.sharing.place);
    ASSERT_EQ(get(flooded, Counter::rx_datagrams), flood);
    ASSERT_LT(flood, 1'000'000u) << "it never leaves";
  } while (loop.is_told());
  EXPECT_EQ(get(single, Counter::rx_datagrams), 0u);
  gated.open();
  EXPECT_TRUE(eventually([&] {
    loop.rig->drain();
    return loop.rig->records.size() == flood + 1;
  }));
}

TEST(LoopShare, hands_over_what_the_loop_was_told_of_and_has_not_read) {
  auto* gated = new test::GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {.slots = 8});
  auto flooded = loop.socket(), single = loop.socket();
  EXPECT_FALSE(gated->has_watched(single->fd.get()));
  hand_over_what_the_loop_has_not_read(loop, *gated, *flooded, *single);
}

TEST(LoopShare, hands_over_unread_datagrams_of_sockets_that_the_thread_watches_already) {
  auto* gated = new test::GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {.slots = 8});
  gated->open();
  auto flooded = loop.socket(), single = loop.socket();
  ASSERT_TRUE(eventually(
      [&] { return gated->has_watched(flooded->fd.get()) && gated->has_watched(single->fd.get()); }));
  gated->shut();
  hand_over_what_the_loop_has_not_read(loop, *gated, *flooded, *single);
}

// Exclusive waiters are woken in the order in which they were added.
TEST(LoopShare, asks_the_loop_first_again_when_it_gets_its_sockets_back) {
  EventLoop loop(test::make_engine("mmsg"), {.thread = {.moderation = {.usecs_max = 100}}});
  auto socket = loop.socket();
  Address to = name_of(socket->fd.get());
  Peer peer;
  size_t sent = 0;
  // The loop does not turn while much comes: the thread takes the sockets away from it.
  ASSERT_TRUE(eventually([&] {
    for (int i = 0; i < 100; i++, sent++) EXPECT_TRUE(peer.send(to, "flood"));
    EXPECT_TRUE(eventually([&] {
      loop.rig->drain();
      return loop.rig->records.size() == sent;
    }));
    return loop.rig->thread_counters[Counter::moderations] > 0;
  }));
  // Little comes: it gives them back, and the loop, asleep, receives by itself.
  pid_t tid = gettid();
  auto loop_receives_next = [&] {
    uint64_t rounds = loop.rig->thread_counters[Counter::loop_rounds];
    loop.turn(0);  // an earlier wake-up
    std::thread sender([&] {
      EXPECT_TRUE(eventually([&] { return test::sleeps(tid); }));
      EXPECT_TRUE(peer.send(to, "single"));
    });
    EXPECT_TRUE(loop.turn_until_records(++sent));
    sender.join();
    return loop.rig->thread_counters[Counter::loop_rounds] > rounds;
  };
  EXPECT_TRUE(eventually(loop_receives_next));
  int received = 0;
  for (int i = 0; i < 50; i++) received += loop_receives_next();
  EXPECT_GT(received, 25) << "on a busy machine the thread may stand in now and then";
}

// The loop, stuck, would have read what came to the fresh socket first.
void receive_from_a_fresh_socket_first(std::chrono::milliseconds between) {
  auto* gated = new test::GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {});
  gated->open();
  auto watched = loop.socket();
  ASSERT_TRUE(eventually([&] { return gated->has_watched(watched->fd.get()); }));
  gated->shut();
  auto fresh = loop.socket();
  Peer peer;
  ASSERT_TRUE(peer.send(name_of(fresh->fd.get()), "first"));
  ASSERT_TRUE(peer.send(name_of(watched->fd.get()), "second"));
  std::this_thread::sleep_for(between);
  gated->open();
  ASSERT_TRUE(loop.rig->read_records(2));
  EXPECT_EQ(loop.rig->data(), (std::vector<std::string>{"first", "second"}));
}

TEST(LoopShare, receives_what_came_to_fresh_sockets_before_what_came_to_others) {
  receive_from_a_fresh_socket_first(std::chrono::milliseconds(0));
}

TEST(LoopShare, receives_from_fresh_sockets_first_also_when_their_time_is_over) {
  receive_from_a_fresh_socket_first(std::chrono::milliseconds(10));
}

TEST(LoopShare, gives_the_place_of_a_closed_socket_to_the_next) {
  EventLoop loop(test::make_engine("mmsg"));
  for (int i = 0; i < 200; i++) {
    auto socket = loop.socket();
    ASSERT_TRUE(socket->sharing.shared) << i;
    loop.rig->thread.close(socket->id);
  }
}

// A socket for one query: the thread never hears of it.
TEST(LoopShare, keeps_a_fresh_socket_to_the_loop) {
  auto* gated = new test::GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {});
  Peer peer;
  for (size_t i = 0; i < 5; i++) {
    auto socket = loop.socket();
    ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "answer"));
    EXPECT_GT(loop.turn(60'000), 0);
    EXPECT_EQ(loop.rig->records.size(), i + 1);
    EXPECT_FALSE(gated->has_watched(socket->fd.get()));
    loop.rig->thread.close(socket->id);
  }
  auto lasting = loop.socket();
  EXPECT_FALSE(gated->has_watched(lasting->fd.get()));
  gated->open();
  EXPECT_TRUE(eventually([&] { return gated->has_watched(lasting->fd.get()); }));
  // From now on the thread receives while the loop does not turn.
  ASSERT_TRUE(peer.send(name_of(lasting->fd.get()), "late"));
  EXPECT_TRUE(eventually([&] { return get(*lasting, Counter::rx_datagrams) == 1; }));
}

TEST(LoopShare, works_off_the_backlog_of_a_fresh_socket) {
  auto* gated = new test::GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {});
  Fd sink = test::bound_socket();
  auto socket = loop.socket();
  test::Staged staged;
  ASSERT_EQ(staged.add(name_of(sink.get()), "waits").send(loop.rig->thread, *socket), 1u);
  EXPECT_TRUE(gated->has_watched(socket->fd.get())) << "the thread has to learn when it is writable";
  gated->open();
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(socket->tx_mutex);
    return socket->backlog.empty();
  }));
  // It still receives, on both sides of the timer.
  Peer peer;
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "x"));
  EXPECT_TRUE(loop.turn_until_records(1));
}

// The user has heard 'listening' when the engine refuses to watch a fresh socket.
TEST(LoopShare, tells_of_a_refused_socket_once_and_tries_again) {
  auto* gated = new test::GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {.slots = 8});
  gated->open();
  auto flooded = loop.socket();
  ASSERT_TRUE(eventually([&] { return gated->has_watched(flooded->fd.get()); }));
  Peer peer;
  for (int i = 0; i < 50; i++) ASSERT_TRUE(peer.send(name_of(flooded->fd.get()), "flood"));
  ASSERT_TRUE(eventually([&] { return get(*flooded, Counter::rx_pauses) > 0; }));
  // The ring is full.
  gated->refuse(3);
  auto socket = loop.socket();
  EXPECT_TRUE(eventually([&] { return get(*socket, Counter::rx_errors) == 1; }));
  EXPECT_TRUE(eventually([&] { return gated->has_watched(socket->fd.get()); }));
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "late"));
  ASSERT_TRUE(loop.turn_until_records(52));
  size_t errors = 0, late = 0;
  for (const auto& record : loop.rig->records) {
    if (record.descriptor.socket_id != socket->id) continue;
    if (record.descriptor.kind == DescriptorKind::error) errors++;
    if (record.data == "late") late++;
  }
  EXPECT_EQ(errors, 1u);
  EXPECT_EQ(late, 1u);
  EXPECT_EQ(get(*socket, Counter::rx_errors), 1u);
}

TEST(LoopShare, asks_an_engine_that_refuses_for_good_less_and_less_often) {
  constexpr int kMany = 1'000'000;
  auto* gated = new test::GatedEngine(test::make_engine("mmsg"));
  EventLoop loop{std::unique_ptr<Engine>(gated)};
  gated->open();
  gated->refuse(kMany);
  auto socket = loop.socket();
  ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_errors) == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_LT(kMany - gated->refusals(), 30) << "not every 2 ms";
  gated->refuse(0);
  EXPECT_TRUE(eventually([&] { return gated->has_watched(socket->fd.get()); }));
  EXPECT_EQ(get(*socket, Counter::rx_errors), 1u);
}

// As libuv does with a descriptor of its own: the loop's instance has it already.
TEST(LoopShare, leaves_a_socket_to_the_thread_that_the_loop_cannot_share) {
  EventLoop loop(test::make_engine("mmsg"));
  auto other = loop.rig->add(test::bound_socket());
  loop.watch_otherwise(other->fd.get());
  ASSERT_EQ(loop.rig->thread.watch(*other), 0);
  EXPECT_FALSE(other->sharing.shared);
  auto socket = loop.socket();
  EXPECT_EQ(socket->sharing.place, 0u);
  EXPECT_TRUE(socket->sharing.shared);
  Peer peer;
  ASSERT_TRUE(peer.send(name_of(other->fd.get()), "x"));
  EXPECT_TRUE(eventually([&] {
    loop.turn(1);
    return loop.rig->records.size() == 1;
  }));
  loop.rig->thread.close(other->id);
}

// Once it has begun to receive it does not return before it may.
class HeldEngine : public test::ForwardingEngine {
 public:
  using ForwardingEngine::ForwardingEngine;

  int receive(int fd, std::span<Message> messages) override {
    receives = true;
    EXPECT_TRUE(eventually([&] { return released.load(); }));
    return ForwardingEngine::receive(fd, messages);
  }

  std::atomic<bool> receives{false}, released{false};
};

TEST(LoopShare, takes_a_socket_from_the_loop_between_two_rounds_of_the_thread) {
  auto* held = new HeldEngine(test::make_engine("mmsg"));
  EventLoop loop{std::unique_ptr<Engine>(held)};
  auto socket = loop.socket();
  Peer peer;
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "x"));  // the loop is stuck
  ASSERT_TRUE(eventually([&] { return held->receives.load(); }));
  std::thread unwatcher([&] { loop.rig->thread.unwatch(*socket); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(socket->sharing.shared) << "in the middle of a round, which may be handing it over";
  held->released = true;
  unwatcher.join();
  EXPECT_FALSE(socket->sharing.shared);
}

}  // namespace
}  // namespace ksocket
