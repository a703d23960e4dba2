// What the loops rely on, on both engines and a real kernel.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/control/control.h"
#include "core/datapath/rx_batch.h"
#include "core/socket/options.h"
#include "support/engines.h"
#include "support/fake_engine.h"
#include "support/loopback.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::Peer;
using namespace std::chrono_literals;

constexpr int kForever = 60'000;  // ms; as long as a test may take, so that a lost wake-up fails it

class EngineTest : public test::OnEachEngine {
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

INSTANTIATE_TEST_SUITE_P(, EngineTest, test::both_engines(), test::engine_name);

TEST_P(EngineTest, says_its_name) {
  EXPECT_STREQ(engine->name(), GetParam());
}

// ---- waiting

TEST_P(EngineTest, waits_until_the_time_is_over) {
  auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait(30).empty());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 29ms);
  EXPECT_TRUE(wait(0).empty());
}

TEST_P(EngineTest, remembers_a_wake_up_that_came_before_the_wait) {
  engine->wake();
  auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait().empty());
  EXPECT_LT(std::chrono::steady_clock::now() - before, 30s);
}

TEST_P(EngineTest, is_woken_while_it_waits) {
  std::thread waker([&] {
    std::this_thread::sleep_for(20ms);  // most likely inside the wait; before it the wake-up is remembered
    engine->wake();
  });
  auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait().empty());
  EXPECT_LT(std::chrono::steady_clock::now() - before, 30s);
  waker.join();
}

TEST_P(EngineTest, forgets_wake_ups_once_it_has_been_woken) {
  for (int i = 0; i < 5; i++) engine->wake();
  wait();
  auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait(30).empty());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 29ms);
}

// More than a pipe holds, and a multiple of what is read from it at once.
TEST_P(EngineTest, never_blocks_the_one_who_wakes) {
  for (int i = 0; i < 128 * 1024; i++) engine->wake();
  wait();
  wait(0);
  EXPECT_TRUE(wait(0).empty());
  engine->wake();
  auto before = std::chrono::steady_clock::now();
  wait();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 30s);
}

TEST_P(EngineTest, wakes_without_losing_one_of_many_rounds) {
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

// ---- what is ready

TEST_P(EngineTest, says_what_is_readable_until_it_has_been_read) {
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

TEST_P(EngineTest, says_what_is_writable) {
  Peer socket;
  ASSERT_EQ(engine->watch(socket.fd(), UINT32_MAX, kWritable), 0);
  auto events = wait_for_event();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, UINT32_MAX);
  EXPECT_FALSE(events[0].readable);
  EXPECT_TRUE(events[0].writable);
}

TEST_P(EngineTest, follows_a_change_of_interest) {
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

TEST_P(EngineTest, forgets_what_is_unwatched) {
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

TEST_P(EngineTest, notices_a_socket_that_is_watched_while_it_waits) {
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

TEST_P(EngineTest, gives_every_ready_socket_its_turn) {
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

TEST_P(EngineTest, calls_a_socket_with_an_error_readable) {
  Peer socket;
  auto closed = std::make_unique<Peer>();
  ASSERT_EQ(connect_socket(socket.fd(), closed->address()), 0);
  closed.reset();
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
TEST_P(EngineTest, does_not_go_on_about_the_error_of_a_socket_nobody_wants_to_read) {
  Peer socket;
  auto closed = std::make_unique<Peer>();
  ASSERT_EQ(connect_socket(socket.fd(), closed->address()), 0);
  closed.reset();
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

// ---- receiving

TEST_P(EngineTest, receives_several_datagrams_with_their_lengths_and_sources) {
  Peer socket, one, two;
  RxBatch batch;
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(8)), -EAGAIN);
  ASSERT_TRUE(one.send(socket.address(), "hello"));
  ASSERT_TRUE(two.send(socket.address(), ""));
  ASSERT_TRUE(one.send(socket.address(), std::string(2000, 'x')));
  ASSERT_EQ(engine->receive(socket.fd(), batch.slots(8)), 3);
  EXPECT_EQ(batch.message(0).length, 5u);
  EXPECT_EQ(std::memcmp(batch.base() + RxBatch::offset(0), "hello", 5), 0);
  EXPECT_EQ(batch.message(1).length, 0u);
  EXPECT_EQ(batch.message(2).length, 2000u);
  EXPECT_TRUE(from_sockaddr(batch.name(0)) == one.address());
  EXPECT_TRUE(from_sockaddr(batch.name(1)) == two.address());
  batch.recycle(3);
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(8)), -EAGAIN);
}

TEST_P(EngineTest, receives_no_more_than_it_is_given_room_for) {
  Peer socket, other;
  for (int i = 0; i < 5; i++) ASSERT_TRUE(other.send(socket.address(), std::to_string(i)));
  RxBatch batch;
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(2)), 2);
  batch.recycle(2);
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(64)), 3);
  EXPECT_EQ(batch.base()[RxBatch::offset(0)], '2');
}

TEST_P(EngineTest, hands_back_the_errno_of_a_bad_descriptor) {
  RxBatch batch;
  EXPECT_EQ(engine->receive(-1, batch.slots(1)), -EBADF);
  Message message{};
  EXPECT_EQ(engine->send(-1, {&message, 1}), -EBADF);
}

// ---- sending

// Messages to one destination.
struct Batch {
  Batch(const Address& to, const std::vector<std::string>& data) : name(to_sockaddr(to)), payloads(data) {
    for (std::string& payload : payloads) iovs.push_back({payload.data(), payload.size()});
    for (iovec& iov : iovs) {
      Message& message = messages.emplace_back();
      message = {};
      message.header.msg_iov = &iov;
      message.header.msg_iovlen = 1;
      message.header.msg_name = &name.any;
      message.header.msg_namelen = name.length;
    }
  }
  std::span<Message> from(size_t first) { return std::span(messages).subspan(first); }

  SockAddr name;
  std::vector<std::string> payloads;
  std::vector<iovec> iovs;
  std::vector<Message> messages;
};

TEST_P(EngineTest, sends_several_datagrams) {
  Peer socket, other;
  Batch batch(other.address(), {"one", "", "three"});
  EXPECT_EQ(engine->send(socket.fd(), batch.from(0)), 3);
  Address from;
  EXPECT_EQ(other.receive(&from), "one");
  EXPECT_TRUE(from == socket.address());
  EXPECT_EQ(other.receive(), "");
  EXPECT_EQ(other.receive(), "three");
}

TEST_P(EngineTest, stops_before_the_message_that_fails_and_then_says_why) {
  Peer socket, other;
  Batch batch(other.address(), {"one", std::string(65508, 'x'), "three"});
  EXPECT_EQ(engine->send(socket.fd(), batch.from(0)), 1);
  EXPECT_EQ(engine->send(socket.fd(), batch.from(1)), -EMSGSIZE);
  EXPECT_EQ(engine->send(socket.fd(), batch.from(2)), 1);
  EXPECT_EQ(other.receive(), "one");
  EXPECT_EQ(other.receive(), "three");
  EXPECT_TRUE(other.quiet());
}

TEST_P(EngineTest, sends_and_receives_super_datagrams_where_it_says_so) {
  if (!engine->offloads()) {
    EXPECT_STREQ(GetParam(), "posix") << "only the scalar engine leaves GRO and GSO alone";
    return;
  }
  Peer socket, other;
  if (set_option(other.fd(), 4, SocketOption::gro, 1) != 0) GTEST_SKIP() << "a kernel without UDP_GRO";
  Batch batch(other.address(), {std::string(3000, 'a') + std::string(500, 'b')});
  alignas(cmsghdr) uint8_t control[kTxControlBytes];
  batch.messages[0].header.msg_control = control;
  append_segment_size(&batch.messages[0].header, 4, 1000);
  ASSERT_EQ(engine->send(socket.fd(), batch.from(0)), 1);

  RxBatch received;
  ASSERT_EQ(engine->receive(other.fd(), received.slots(8)), 1) << "loopback joins what was sent joined";
  EXPECT_EQ(received.message(0).length, 3500u);
  EXPECT_EQ(decode_control(received.message(0).header).segment_size, 1000);
}

// A control buffer too short for one of them would cut GRO's segment size, and with it the boundaries.
TEST_P(EngineTest, is_told_drops_segment_size_and_time_beside_one_datagram) {
  Peer socket, other;
  set_option(other.fd(), 4, SocketOption::gro, 1);  // the kernel may lack it
  ASSERT_EQ(set_option(other.fd(), 4, SocketOption::report_kernel_drops, 1), 0);
  ASSERT_EQ(set_option(other.fd(), 4, SocketOption::receive_times, 1), 0);
  ASSERT_EQ(set_option(other.fd(), 4, SocketOption::receive_buffer_bytes, 1), 0);  // the least there is
  for (int i = 0; i < 100; i++) socket.send(other.address(), std::string(1000, 'x'));
  RxBatch received;
  while (int n = std::max(engine->receive(other.fd(), received.slots(64)), 0))
    received.recycle(static_cast<uint32_t>(n));
  ASSERT_EQ(set_option(other.fd(), 4, SocketOption::receive_buffer_bytes, 1 << 20), 0);

  Batch batch(other.address(), {std::string(3500, 'a')});
  alignas(cmsghdr) uint8_t control[kTxControlBytes];
  if (engine->offloads()) {
    batch.messages[0].header.msg_control = control;
    append_segment_size(&batch.messages[0].header, 4, 1000);
  }
  ASSERT_EQ(engine->send(socket.fd(), batch.from(0)), 1);
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);

  int n = engine->receive(other.fd(), received.slots(8));
  ASSERT_GE(n, 1);
  const msghdr& header = received.message(0).header;
  RxControl said = decode_control(header);
  EXPECT_EQ(header.msg_flags & MSG_CTRUNC, 0);
  EXPECT_GT(said.kernel_drops.value_or(0), 0u);
  EXPECT_NEAR(static_cast<double>(said.received_ns) / 1e9, static_cast<double>(now.tv_sec), 60);
  bool joined = n == 1 && engine->offloads();
  EXPECT_EQ(said.segment_size, joined ? 1000 : 0);
}

}  // namespace
}  // namespace ksocket
