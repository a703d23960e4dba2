// Engines: waiting, and what they say is ready, on both and a real kernel.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/datapath/rx_batch.h"
#include "engine/engine.h"
#include "support/engines.h"
#include "support/loopback.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::Peer;
using namespace std::chrono_literals;

constexpr int kForever = 60'000;  // ms; as long as a test may take, so that a lost wake-up fails it

class WaitTest : public test::OnEachEngine {
 protected:
  // One wait() that has something to say, or all of its time to do so.
  std::vector<Event> wait(int timeout_ms = kForever, size_t events_max = 64) {
    std::vector<Event> events(events_max);
    int n = engine->wait(events, timeout_ms);
    EXPECT_GE(n, 0);
    events.resize(static_cast<size_t>(std::max(n, 0)));
    return events;
  }
  // Some engines need a second look after a change.
  std::vector<Event> wait_for_event() {
    for (auto until = std::chrono::steady_clock::now() + test::kDeadline;
         std::chrono::steady_clock::now() < until;) {
      auto events = wait();
      if (!events.empty()) return events;
    }
    return {};
  }
  // What is ready now; a pending wake-up does not count.
  std::vector<Event> ready() {
    wait(0);
    return wait(0);
  }

  std::unique_ptr<Engine> engine = make_engine();
};

INSTANTIATE_TEST_SUITE_P(, WaitTest, test::both_engines(), test::engine_name);

TEST_P(WaitTest, waits_until_the_time_is_over) {
  auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait(30).empty());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 29ms);
  EXPECT_TRUE(wait(0).empty());
}

TEST_P(WaitTest, remembers_a_wake_up_that_came_before_the_wait) {
  engine->wake();
  auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait().empty());
  EXPECT_LT(std::chrono::steady_clock::now() - before, 30s);
}

TEST_P(WaitTest, is_woken_while_it_waits) {
  std::thread waker([&] {
    std::this_thread::sleep_for(20ms);  // most likely inside the wait; before it the wake-up is remembered
    engine->wake();
  });
  auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait().empty());
  EXPECT_LT(std::chrono::steady_clock::now() - before, 30s);
  waker.join();
}

TEST_P(WaitTest, forgets_wake_ups_once_it_has_been_woken) {
  for (int i = 0; i < 5; i++) engine->wake();
  wait();
  auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait(30).empty());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 29ms);
}

// More than a pipe holds, and a multiple of what is read from it at once.
TEST_P(WaitTest, never_blocks_the_one_who_wakes) {
  for (int i = 0; i < 128 * 1024; i++) engine->wake();
  wait();
  wait(0);
  EXPECT_TRUE(wait(0).empty());
  engine->wake();
  auto before = std::chrono::steady_clock::now();
  wait();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 30s);
}

TEST_P(WaitTest, wakes_without_losing_one_of_many_rounds) {
  constexpr int kRounds = 20'000;
  std::atomic<int> asked{0}, answered{0};
  std::thread waiter([&] {
    Event events[4];
    while (answered.load() < kRounds) {
      engine->wait(events, kForever);
      answered.store(asked.load());
    }
  });
  bool lost = false;
  for (int i = 1; i <= kRounds && !lost; i++) {
    asked.store(i);
    engine->wake();
    auto until = std::chrono::steady_clock::now() + test::kDeadline / 2;
    while (answered.load() < i && !lost) {
      std::this_thread::yield();
      lost = std::chrono::steady_clock::now() > until;
    }
  }
  EXPECT_FALSE(lost) << "a wake-up was lost";
  waiter.join();
}

TEST_P(WaitTest, says_what_is_readable_until_it_has_been_read) {
  Peer socket, other;
  ASSERT_EQ(engine->watch(socket.fd(), 77, kReadable), 0);
  EXPECT_TRUE(ready().empty());
  ASSERT_TRUE(other.send(socket.address(), "x"));
  for (int i = 0; i < 3; i++) {
    auto events = wait_for_event();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].token, 77u);
    EXPECT_TRUE(events[0].readable);
    EXPECT_FALSE(events[0].writable);
  }
  EXPECT_EQ(socket.receive(), "x");
  EXPECT_TRUE(ready().empty());
}

TEST_P(WaitTest, says_what_is_writable) {
  Peer socket;
  ASSERT_EQ(engine->watch(socket.fd(), UINT32_MAX, kWritable), 0);
  auto events = wait_for_event();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, UINT32_MAX);
  EXPECT_FALSE(events[0].readable);
  EXPECT_TRUE(events[0].writable);
}

TEST_P(WaitTest, follows_a_change_of_interest) {
  Peer socket, other;
  ASSERT_EQ(engine->watch(socket.fd(), 1, kReadable), 0);
  ASSERT_TRUE(other.send(socket.address(), "x"));
  ASSERT_EQ(wait_for_event().size(), 1u);

  ASSERT_EQ(engine->change(socket.fd(), 1, kNothing), 0);
  EXPECT_TRUE(ready().empty());
  ASSERT_EQ(engine->change(socket.fd(), 2, kReadable | kWritable), 0);
  auto events = wait_for_event();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, 2u);
  EXPECT_TRUE(events[0].readable && events[0].writable);
  ASSERT_EQ(engine->change(socket.fd(), 2, kReadable), 0);
  events = ready();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].readable && !events[0].writable);
}

TEST_P(WaitTest, forgets_what_is_unwatched) {
  Peer socket, other;
  ASSERT_EQ(engine->watch(socket.fd(), 1, kReadable), 0);
  ASSERT_TRUE(other.send(socket.address(), "x"));
  ASSERT_EQ(wait_for_event().size(), 1u);
  engine->unwatch(socket.fd());
  EXPECT_TRUE(ready().empty());
  engine->unwatch(socket.fd());  // nothing happens
  ASSERT_EQ(engine->watch(socket.fd(), 2, kReadable), 0);
  auto events = wait_for_event();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, 2u);
}

TEST_P(WaitTest, notices_a_socket_that_is_watched_while_it_waits) {
  Peer socket, other;
  ASSERT_TRUE(other.send(socket.address(), "x"));
  std::thread watcher([&] {
    std::this_thread::sleep_for(20ms);
    EXPECT_EQ(engine->watch(socket.fd(), 5, kReadable), 0);
  });
  auto events = wait_for_event();
  watcher.join();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, 5u);
}

TEST_P(WaitTest, gives_every_ready_socket_its_turn) {
  std::vector<Peer> sockets(40);
  Peer other;
  for (size_t i = 0; i < sockets.size(); i++) {
    ASSERT_EQ(engine->watch(sockets[i].fd(), i, kReadable), 0);
    ASSERT_TRUE(other.send(sockets[i].address(), "x"));
  }
  // Nobody reads, so all stay ready; a wait can name seven. Twice around is plenty for a fair engine.
  std::set<uint64_t> named;
  for (int i = 0; i < 12; i++) {
    auto events = wait(kForever, 7);
    EXPECT_LE(events.size(), 7u);
    for (const Event& event : events) named.insert(event.token);
  }
  EXPECT_EQ(named.size(), sockets.size());
}

// Its next datagram is refused: an error waits at the socket.
void connect_to_nobody(Peer& socket) {
  Peer closes;
  ASSERT_EQ(connect_socket(socket.fd(), closes.address()), 0);
}

TEST_P(WaitTest, calls_a_socket_with_an_error_readable) {
  Peer socket;
  connect_to_nobody(socket);
  ASSERT_EQ(engine->watch(socket.fd(), 1, kReadable), 0);
  ASSERT_EQ(send(socket.fd(), "x", 1, 0), 1);
  auto events = wait_for_event();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].readable);

  RxBatch batch;
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(8)), -ECONNREFUSED);
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(8)), -EAGAIN);
}

// A paused socket stays paused: with its error unread, a thread that is told again and again would spin.
TEST_P(WaitTest, does_not_go_on_about_the_error_of_a_socket_nobody_wants_to_read) {
  Peer socket;
  connect_to_nobody(socket);
  ASSERT_EQ(engine->watch(socket.fd(), 1, kReadable), 0);
  ASSERT_EQ(engine->change(socket.fd(), 1, kNothing), 0);
  ASSERT_EQ(send(socket.fd(), "x", 1, 0), 1);
  int told = 0;
  for (int i = 0; i < 20; i++) told += static_cast<int>(wait(i < 2 ? 20 : 0).size());
  EXPECT_LE(told, 1);

  ASSERT_EQ(engine->change(socket.fd(), 1, kReadable), 0);
  auto events = wait_for_event();
  ASSERT_EQ(events.size(), 1u) << "but the error is still there for who wants it";
  EXPECT_TRUE(events[0].readable);
}

}  // namespace
}  // namespace ksocket
