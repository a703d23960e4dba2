// The I/O thread on the fake engine: what it does with what a kernel says, in every order that matters.
#include "core/thread/io_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "core/answer/fixed_responder.h"
#include "support/fake_engine.h"
#include "support/io_rig.h"
#include "support/process.h"

namespace ksocket {
namespace {

using test::address_of;
using test::Arrival;
using test::eventually;
using test::FakeEngine;
using test::get;
using test::IoRig;
using test::Outgoing;
using test::Staged;

const Address kPeer = address_of("127.0.0.1", 4000);

Arrival datagram(const std::string& data) {
  return {data, kPeer, 0, {}, 0};
}

class Rig : public IoRig {
 public:
  explicit Rig(Options options = {}) : Rig(new FakeEngine, std::move(options)) {}

  // A watched socket.
  std::shared_ptr<Endpoint> socket() {
    auto endpoint = add(test::dummy_fd());
    EXPECT_EQ(thread.watch(*endpoint), 0);
    return endpoint;
  }
  void arrive(const Endpoint& endpoint, const std::string& data) {
    engine.arrive(endpoint.fd.get(), datagram(data));
  }

  FakeEngine& engine;

 private:
  Rig(FakeEngine* fake, Options options)
      : IoRig(std::unique_ptr<Engine>(fake), std::move(options)), engine(*fake) {
    EXPECT_EQ(thread.start(), 0);
  }
};

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

// ---- sending

TEST(IoThread, sends_at_once_what_the_kernel_takes_at_once) {
  Rig rig;
  auto socket = rig.socket();
  Staged staged;
  staged.add(kPeer, "one", 1).add(kPeer, "two", 2);
  EXPECT_EQ(staged.send(rig.thread, *socket), 0u);
  EXPECT_EQ(staged.results(), (Results{3, 3}));
  EXPECT_EQ(rig.engine.sent().size(), 2u) << "before send() returned";
  EXPECT_EQ(get(*socket, Counter::tx_deferred), 0u);
}

// A socket whose send buffer is full until the test says otherwise.
class SlowSocket {
 public:
  explicit SlowSocket(Rig& rig, bool watched = true)
      : endpoint(watched ? rig.socket() : rig.add(test::dummy_fd())), engine_(rig.engine) {
    engine_.on_send([this](const Outgoing&) -> int { return full ? EAGAIN : 0; });
    engine_.set_writable(endpoint->fd.get(), false);
  }
  void drain() {
    full = false;
    engine_.set_writable(endpoint->fd.get(), true);
  }

  std::atomic<bool> full{true};
  std::shared_ptr<Endpoint> endpoint;

 private:
  FakeEngine& engine_;
};

TEST(IoThread, completes_deferred_sends_in_order_and_says_so) {
  for (bool watched : {true, false}) {
    Rig rig;
    SlowSocket slow(rig, watched);
    Staged staged;
    for (uint64_t i = 1; i <= 100; i++) staged.add(kPeer, std::string(i, 'x'), i);
    EXPECT_EQ(staged.send(rig.thread, *slow.endpoint), 100u);
    for (int32_t result : staged.results()) ASSERT_EQ(result, kResultDeferred);
    EXPECT_EQ(get(*slow.endpoint, Counter::tx_deferred), 100u);
    EXPECT_EQ(rig.engine.interest(slow.endpoint->fd.get()), watched ? kReadable | kWritable : kWritable);
    staged.payloads.assign(staged.payloads.size(), '!');  // the memory is the sender's again

    slow.drain();
    ASSERT_TRUE(rig.read_records(100));
    auto sent = rig.engine.sent();
    ASSERT_EQ(sent.size(), 100u);
    for (uint64_t i = 1; i <= 100; i++) {
      const Descriptor& d = rig.records[i - 1].descriptor;
      EXPECT_EQ(d.kind, DescriptorKind::sent);
      EXPECT_EQ(d.socket_id, slow.endpoint->id);
      EXPECT_EQ(d.user_data, i);
      EXPECT_EQ(d.result, static_cast<int32_t>(i));
      EXPECT_EQ(sent[i - 1].data, std::string(i, 'x'));
      EXPECT_TRUE(sent[i - 1].to == kPeer);
    }
    EXPECT_TRUE(eventually([&] {
      return rig.engine.interest(slow.endpoint->fd.get()) == (watched ? kReadable : kNothing);
    })) << "or the thread would be woken for nothing for ever";
  }
}

TEST(IoThread, lets_nothing_overtake_what_waits) {
  Rig rig;
  SlowSocket slow(rig);
  EXPECT_EQ(Staged().add(kPeer, "first", 1).send(rig.thread, *slow.endpoint), 1u);
  slow.full = false;  // the kernel would take it, but the thread has not been told
  Staged second;
  EXPECT_EQ(second.add(kPeer, "second", 2).send(rig.thread, *slow.endpoint), 1u);
  EXPECT_EQ(second.results(), Results{kResultDeferred});
  EXPECT_TRUE(rig.engine.sent().empty());
  slow.drain();
  ASSERT_TRUE(rig.read_records(2));
  auto sent = rig.engine.sent();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].data, "first");
  EXPECT_EQ(sent[1].data, "second");
  EXPECT_EQ(Staged().add(kPeer, "third").send(rig.thread, *slow.endpoint), 0u) << "and inline again";
}

TEST(IoThread, tells_nobody_of_deferred_sends_that_nobody_asked_about) {
  Rig rig;
  SlowSocket slow(rig);
  Staged staged;
  staged.add(kPeer, "silent").add(kPeer, "loud", 7).send(rig.thread, *slow.endpoint);
  slow.drain();
  ASSERT_TRUE(rig.read_records(1));
  EXPECT_EQ(rig.records[0].descriptor.user_data, 7u);
  EXPECT_EQ(rig.engine.sent().size(), 2u);
}

TEST(IoThread, completes_a_deferred_send_with_its_error) {
  Rig rig;
  SlowSocket slow(rig);
  Staged staged;
  for (uint64_t i = 1; i <= 3; i++) staged.add(kPeer, std::string(i, 'x'), i);
  staged.send(rig.thread, *slow.endpoint);
  rig.engine.on_send([](const Outgoing& message) { return message.data.size() == 2 ? EMSGSIZE : 0; });
  slow.drain();
  ASSERT_TRUE(rig.read_records(3));
  EXPECT_EQ(rig.records[0].descriptor.result, 1);
  EXPECT_EQ(rig.records[1].descriptor.result, -EMSGSIZE);
  EXPECT_EQ(rig.records[2].descriptor.result, 3);
}

TEST(IoThread, waits_again_when_the_kernel_is_full_again) {
  Rig rig;
  SlowSocket slow(rig);
  Staged staged;
  for (uint64_t i = 1; i <= 10; i++) staged.add(kPeer, "x", i);
  staged.send(rig.thread, *slow.endpoint);
  std::atomic<int> allowed{3};
  rig.engine.on_send([&](const Outgoing&) -> int { return allowed-- > 0 ? 0 : EAGAIN; });
  slow.drain();
  ASSERT_TRUE(rig.read_records(3));
  allowed = 100;
  ASSERT_TRUE(rig.read_records(10));
  for (uint64_t i = 0; i < 10; i++) EXPECT_EQ(rig.records[i].descriptor.user_data, i + 1);
}

TEST(IoThread, keeps_completions_until_the_ring_has_room) {
  Rig rig({.slots = 4});
  SlowSocket slow(rig);
  Staged staged;
  for (uint64_t i = 1; i <= 50; i++) staged.add(kPeer, "x", i);
  staged.send(rig.thread, *slow.endpoint);
  slow.drain();
  ASSERT_TRUE(eventually([&] { return rig.engine.sent().size() == 50; }));
  ASSERT_TRUE(rig.read_records(50));
  for (uint64_t i = 0; i < 50; i++) EXPECT_EQ(rig.records[i].descriptor.user_data, i + 1);
}

TEST(IoThread, keeps_completions_behind_datagrams_that_fill_the_ring) {
  Rig rig({.slots = 4});
  SlowSocket slow(rig);
  auto other = rig.socket();
  Staged().add(kPeer, "x", 1).send(rig.thread, *slow.endpoint);
  for (int i = 0; i < 40; i++) rig.arrive(*other, "d");
  ASSERT_TRUE(eventually([&] { return get(*other, Counter::rx_pauses) > 0; }));
  slow.drain();
  ASSERT_TRUE(eventually([&] { return rig.engine.sent().size() == 1; }));
  ASSERT_TRUE(rig.read_records(41));
  int sent = 0;
  for (const auto& each : rig.records) sent += each.descriptor.kind == DescriptorKind::sent;
  EXPECT_EQ(sent, 1);
}

TEST(IoThread, says_when_the_backlog_is_gone_behind_its_completions) {
  Rig rig;
  SlowSocket slow(rig);
  EXPECT_FALSE(rig.thread.notify_drained(*slow.endpoint)) << "nothing waits";
  Staged().add(kPeer, "x", 1).add(kPeer, "y", 2).send(rig.thread, *slow.endpoint);
  EXPECT_TRUE(rig.thread.notify_drained(*slow.endpoint));
  slow.drain();
  ASSERT_TRUE(rig.read_records(3));
  EXPECT_EQ(rig.records[0].descriptor.user_data, 1u);
  EXPECT_EQ(rig.records[1].descriptor.user_data, 2u);
  EXPECT_EQ(rig.records[2].descriptor.kind, DescriptorKind::drained);
  EXPECT_EQ(rig.records[2].descriptor.socket_id, slow.endpoint->id);
  EXPECT_FALSE(rig.thread.notify_drained(*slow.endpoint));
}

TEST(IoThread, refuses_to_keep_more_than_its_limit) {
  Rig rig;
  SlowSocket slow(rig);
  Staged staged;
  constexpr size_t kEach = 1 << 20;  // longer than a datagram, but nobody looks
  std::string data(kEach, 'x');
  for (uint64_t i = 1; i <= 70; i++) staged.add(kPeer, data, i);
  uint32_t deferred = staged.send(rig.thread, *slow.endpoint);
  EXPECT_LE(deferred * kEach, kBacklogBytesMax);
  EXPECT_GE(deferred, kBacklogBytesMax / kEach - 1);
  for (size_t i = 0; i < 70; i++) EXPECT_EQ(staged.results()[i], i < deferred ? kResultDeferred : -ENOBUFS);
  EXPECT_EQ(get(*slow.endpoint, Counter::tx_deferred), deferred);
  EXPECT_EQ(get(*slow.endpoint, Counter::tx_dropped), 70 - deferred);

  slow.drain();
  ASSERT_TRUE(rig.read_records(deferred));
  EXPECT_EQ(Staged().add(kPeer, "x").send(rig.thread, *slow.endpoint), 0u);
  slow.full = true;
  Staged again;
  EXPECT_EQ(again.add(kPeer, data).send(rig.thread, *slow.endpoint), 1u) << "and there is room again";
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
