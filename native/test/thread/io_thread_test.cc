// The I/O thread on the fake engine: what it does with what a kernel says, in every order that matters.
#include "core/thread/io_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "core/answer/fixed_responder.h"
#include "support/fake_io_rig.h"
#include "support/process.h"

namespace ksocket {
namespace {

using test::datagram;
using test::eventually;
using test::FakeEngine;
using test::get;
using test::IoRig;
using test::kPeer;
using test::SlowSocket;
using test::Staged;

using Rig = test::FakeIoRig;
using Data = std::vector<std::string>;
using Results = std::vector<int32_t>;

// ---- receiving

TEST(IoThread, delivers_what_arrives) {
  Rig rig;
  auto socket = rig.socket();
  for (const char* data : {"one", "two", "three"}) rig.arrive(*socket, data);
  ASSERT_TRUE(rig.read_records(3));
  EXPECT_EQ(rig.data(), (Data{"one", "two", "three"}));
  for (const auto& each : rig.records) EXPECT_EQ(each.descriptor.socket_id, socket->id);
}

TEST(IoThread, wakes_the_reader_once_until_it_comes) {
  Rig rig;
  auto socket = rig.socket();
  for (uint64_t i = 1; i <= 20; i++) {
    rig.arrive(*socket, "x");
    ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_datagrams) == i; }));
  }
  ASSERT_TRUE(rig.read_records(20));
  EXPECT_EQ(rig.bell.rings(), 1u);
  rig.arrive(*socket, "y");
  ASSERT_TRUE(rig.read_records(21));
  EXPECT_EQ(rig.bell.rings(), 2u);
  EXPECT_EQ(rig.thread_counters[Counter::wakeups], 2u);
}

TEST(IoThread, sleeps_while_nothing_happens) {
  Rig rig;
  auto socket = rig.socket();
  rig.arrive(*socket, "x");
  ASSERT_TRUE(rig.read_records(1));
  ASSERT_TRUE(eventually([&] { return rig.engine.wait_calls() == rig.thread_counters[Counter::waits]; }));
  size_t waits = rig.engine.wait_calls();
  EXPECT_LE(waits, 4u);
  rig.arrive(*socket, "y");
  ASSERT_TRUE(rig.read_records(2));
  EXPECT_LE(rig.engine.wait_calls(), waits + 3);
}

TEST(IoThread, serves_each_socket_under_its_own_id) {
  Rig rig;
  std::vector<std::shared_ptr<Endpoint>> sockets;
  for (int i = 0; i < 150; i++) sockets.push_back(rig.socket());
  for (const auto& socket : sockets) rig.arrive(*socket, std::to_string(socket->id));
  ASSERT_TRUE(rig.read_records(sockets.size()));
  for (const auto& each : rig.records) EXPECT_EQ(each.data, std::to_string(each.descriptor.socket_id));
}

TEST(IoThread, finds_sockets_by_slot_and_generation) {
  Rig rig;
  auto socket = rig.socket();
  EXPECT_EQ(rig.thread.find(socket->id), socket);
  EXPECT_EQ(rig.thread.find(socket->id ^ 1u << kSocketSlotBits), nullptr) << "another generation";
  EXPECT_EQ(rig.thread.find(socket->id + 1), nullptr);
  EXPECT_EQ(rig.thread.find(kSocketSlotMask), nullptr);
}

TEST(IoThread, answers_without_a_reader) {
  Rig rig;
  auto socket = rig.add(test::dummy_fd());
  FixedResponder::Options options;
  options.reply = {'o', 'k'};
  socket->responder = std::make_unique<FixedResponder>(std::move(options), socket->fd.get(),
                                                       kDatagramBytesMax, false, socket->counters);
  socket->deliver = false;
  ASSERT_EQ(rig.thread.watch(*socket), 0);
  for (int i = 0; i < 100; i++) rig.arrive(*socket, "hello");
  EXPECT_TRUE(eventually([&] { return rig.engine.sent().size() == 100; }));
  EXPECT_EQ(rig.bell.rings(), 0u);
}

TEST(IoThread, delivers_while_it_polls_without_sleeping) {
  Rig::Options options;
  options.thread.busy_poll_us = 200;
  Rig rig(options);
  auto socket = rig.socket();
  for (size_t i = 1; i <= 50; i++) {
    rig.arrive(*socket, std::to_string(i));
    ASSERT_TRUE(rig.read_records(i));
  }
}

TEST(IoThread, moderates_and_still_delivers_everything) {
  Rig::Options options;
  options.thread.moderation = {.usecs_max = 100, .frames = 64, .adaptive = false};
  Rig rig(options);
  auto socket = rig.socket();
  for (int i = 0; i < 2000; i++) rig.arrive(*socket, std::to_string(i));
  ASSERT_TRUE(rig.read_records(2000));
  for (size_t i = 0; i < 2000; i++) ASSERT_EQ(rig.records[i].data, std::to_string(i));
  EXPECT_GT(rig.thread_counters[Counter::moderations], 0u);
}

TEST(IoThread, reports_a_dead_descriptor_once_and_leaves_it_alone) {
  Rig rig;
  auto socket = rig.socket();
  for (int i = 0; i < 3; i++) rig.engine.arrive(socket->fd.get(), {"", {}, 0, {}, EBADF});
  ASSERT_TRUE(rig.read_records(1));
  EXPECT_EQ(rig.records[0].descriptor.kind, DescriptorKind::error);
  EXPECT_EQ(rig.records[0].descriptor.result, -EBADF);
  EXPECT_TRUE(eventually([&] { return rig.engine.interest(socket->fd.get()) == kNothing; }));
  EXPECT_EQ(rig.engine.waiting(socket->fd.get()), 2u);
}

// ---- a full ring

TEST(IoThread, stops_reading_when_the_ring_is_full_and_loses_nothing) {
  Rig rig({.slots = 4});
  auto socket = rig.socket();
  int fd = socket->fd.get();
  Data expected;
  for (int i = 0; i < 50; i++) {
    expected.push_back(std::to_string(i));
    rig.arrive(*socket, expected.back());
  }
  ASSERT_TRUE(eventually([&] { return rig.engine.interest(fd) == kNothing; }));
  EXPECT_EQ(rig.engine.waiting(fd), 46u);
  EXPECT_EQ(get(*socket, Counter::rx_pauses), 1u);
  size_t calls = rig.engine.receive_calls();

  ASSERT_TRUE(rig.read_records(50));
  EXPECT_EQ(rig.data(), expected);
  EXPECT_GT(rig.engine.receive_calls(), calls);
  EXPECT_EQ(get(*socket, Counter::rx_ring_drops), 0u);
}

TEST(IoThread, goes_on_reading_a_dropping_socket_beside_a_paused_one) {
  Rig rig({.slots = 4});
  auto dropping = rig.add(test::dummy_fd());
  dropping->drop_when_full = true;
  ASSERT_EQ(rig.thread.watch(*dropping), 0);
  auto waiting = rig.socket();
  for (int i = 0; i < 10; i++) rig.arrive(*waiting, "w");
  ASSERT_TRUE(eventually([&] { return get(*waiting, Counter::rx_pauses) == 1; }));
  for (int i = 0; i < 100; i++) rig.arrive(*dropping, "d");
  ASSERT_TRUE(eventually([&] { return get(*dropping, Counter::rx_ring_drops) == 100; }));
  ASSERT_TRUE(rig.read_records(10));
}

TEST(IoThread, resumes_all_sockets_that_the_full_ring_stopped) {
  Rig rig({.slots = 4});
  std::vector<std::shared_ptr<Endpoint>> sockets;
  for (int i = 0; i < 10; i++) sockets.push_back(rig.socket());
  for (int round = 0; round < 20; round++) {
    for (const auto& socket : sockets) rig.arrive(*socket, "x");
  }
  ASSERT_TRUE(eventually([&] {
    for (const auto& socket : sockets) {
      if (get(*socket, Counter::rx_pauses) == 0) return false;
    }
    return true;
  }));
  ASSERT_TRUE(rig.read_records(200));
}

TEST(IoThread, does_not_resume_a_socket_that_was_unwatched_while_it_was_paused) {
  Rig rig({.slots = 4});
  auto ended = rig.socket(), other = rig.socket();
  for (int i = 0; i < 10; i++) rig.arrive(*ended, "ended");
  ASSERT_TRUE(eventually([&] { return get(*ended, Counter::rx_pauses) == 1; }));
  rig.arrive(*other, "other");
  ASSERT_TRUE(eventually([&] { return get(*other, Counter::rx_pauses) == 1; }));
  rig.thread.unwatch(*ended);
  ASSERT_TRUE(rig.read_records(5));  // the other was resumed
  rig.arrive(*other, "and again");
  ASSERT_TRUE(rig.read_records(6));
  EXPECT_EQ(rig.engine.interest(ended->fd.get()), kNothing);
  EXPECT_EQ(rig.engine.waiting(ended->fd.get()), 6u);
}

// Room turned up for one socket in the moment before it would have slept. The flag it takes back was also the
// promise to wake the other, which sleeps already.
TEST(IoThread, does_not_forget_a_paused_socket_when_another_finds_room_after_all) {
  std::atomic<bool> consume{false};
  Rig* rig_pointer = nullptr;
  Rig::Options options;
  options.arena_bytes = kDatagramBytesMax + 1000;
  // Between "no room" and "wait for room": the reader frees the ring, and has not yet looked who waits.
  options.on_wake = [&] {
    if (!consume.exchange(false)) return;
    rig_pointer->reader.skip_all();
    rig_pointer->reader.move_tail();
  };
  Rig rig(std::move(options));
  rig_pointer = &rig;
  auto dropping = rig.add(test::dummy_fd());  // served before `second`: its descriptor is the lower one
  dropping->drop_when_full = true;
  ASSERT_EQ(rig.thread.watch(*dropping), 0);
  auto first = rig.socket(), second = rig.socket();
  ASSERT_LT(dropping->fd.get(), second->fd.get());

  // The first leaves no room for a largest datagram, and sleeps.
  rig.engine.arrive(
      {{first->fd.get(), datagram(std::string(1001, 'x'))}, {first->fd.get(), datagram("rest")}});
  ASSERT_TRUE(eventually([&] { return rig.engine.interest(first->fd.get()) == kNothing; }));
  ASSERT_EQ(rig.engine.waiting(first->fd.get()), 1u);
  // The reader has been woken, but gives nothing back yet. From here on the I/O thread plays its part.
  rig.reader.skip_all();
  consume = true;
  // In one turn: a small record gives the thread something to publish, then the second finds the ring full.
  rig.engine.arrive({{dropping->fd.get(), datagram("small")}, {second->fd.get(), datagram("late")}});
  ASSERT_TRUE(eventually([&] { return !consume && rig.engine.waiting(second->fd.get()) == 0; }));
  // Now the reader looks: nobody waits any more, as far as the flag says.
  EXPECT_FALSE(rig.reader.take_producer_waiting());

  EXPECT_TRUE(eventually([&] { return rig.engine.waiting(first->fd.get()) == 0; }))
      << "the first socket sleeps for ever";
}

// ---- the end

TEST(IoThread, closes_the_descriptor_before_close_returns) {
  Rig rig;
  auto socket = rig.socket();
  int fd = socket->fd.get();
  uint32_t id = socket->id;
  rig.thread.close(id);
  EXPECT_EQ(rig.thread.find(id), nullptr);
  EXPECT_FALSE(socket->fd);
  EXPECT_EQ(rig.engine.interest(fd), std::nullopt);
  rig.thread.close(id);  // nothing happens
}

TEST(IoThread, delivers_nothing_of_a_closed_socket) {
  Rig rig;
  auto socket = rig.socket(), other = rig.socket();
  int fd = socket->fd.get();
  rig.thread.close(socket->id);
  rig.engine.arrive(fd, datagram("late"));
  rig.arrive(*other, "other");
  ASSERT_TRUE(rig.read_records(1));
  EXPECT_EQ(rig.data(), Data{"other"});
  EXPECT_EQ(rig.engine.waiting(fd), 1u);
}

TEST(IoThread, counts_what_was_still_waiting_when_it_was_closed) {
  Rig rig;
  SlowSocket slow(rig);
  Staged staged;
  for (uint64_t i = 1; i <= 5; i++) staged.add(kPeer, "x", i);
  staged.send(rig.thread, *slow.endpoint);
  rig.thread.close(slow.endpoint->id);
  EXPECT_EQ(get(*slow.endpoint, Counter::tx_dropped), 5u);
  slow.full = false;
  EXPECT_TRUE(rig.engine.sent().empty());
}

TEST(IoThread, lets_go_of_a_socket_that_is_closed_while_it_is_paused) {
  Rig rig({.slots = 4});
  auto socket = rig.socket(), other = rig.socket();
  for (int i = 0; i < 20; i++) rig.arrive(*socket, "x");
  ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_pauses) == 1; }));
  rig.thread.close(socket->id);
  socket.reset();
  for (int i = 0; i < 20; i++) rig.arrive(*other, "y");
  ASSERT_TRUE(rig.read_records(4 + 20));
}

TEST(IoThread, can_be_stopped_at_any_time_and_twice) {
  for (int variant = 0; variant < 4; variant++) {
    size_t descriptors = test::open_descriptors(), threads = test::threads_at_rest();
    {
      Rig rig({.slots = 4});
      EXPECT_TRUE(rig.thread.running());
      if (variant >= 1) {
        auto socket = rig.socket();
        for (int i = 0; i < 100; i++) rig.arrive(*socket, "x");
      }
      ASSERT_TRUE(variant < 2 || eventually([&] { return rig.thread_counters[Counter::wakeups] > 0; }));
      if (variant == 3) {
        SlowSocket slow(rig);
        Staged().add(kPeer, "x", 1).send(rig.thread, *slow.endpoint);
        rig.engine.on_send({});
      }
      rig.thread.stop();
      EXPECT_FALSE(rig.thread.running());
      rig.thread.stop();
      EXPECT_TRUE(eventually([&] { return test::threads() == threads; }));
      EXPECT_EQ(test::open_descriptors(), descriptors) << "variant " << variant;
    }
    EXPECT_EQ(test::open_descriptors(), descriptors);
  }
}

TEST(IoThread, can_be_destroyed_without_having_been_started) {
  size_t descriptors = test::open_descriptors();
  {
    IoRig rig(std::make_unique<FakeEngine>(), {});
    rig.add(test::dummy_fd());
    EXPECT_FALSE(rig.thread.running());
  }
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

TEST(IoThread, can_be_stopped_while_it_polls_without_sleeping) {
  Rig::Options options;
  options.thread.busy_poll_us = 1'000'000'000;
  Rig rig(options);
  rig.socket();
  rig.thread.stop();
  EXPECT_FALSE(rig.thread.running());
}

}  // namespace
}  // namespace ksocket
