// Somebody has closed a socket's descriptor behind our back: what waits to be sent hears of it, whoever was
// the one to receive.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>

#include "support/engines.h"
#include "support/event_loop.h"
#include "support/fake_io_rig.h"
#include "support/gated_engine.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::get;
using test::kPeer;
using test::Outgoing;
using test::Staged;

// One error of the socket, then a result of each of two sends.
void expect_failures(const test::IoRig& rig, int error) {
  ASSERT_EQ(rig.records.size(), 3u);
  for (size_t i = 0; i < 3; i++) {
    const Descriptor& record = rig.records[i].descriptor;
    EXPECT_EQ(record.result, -error);
    EXPECT_EQ(record.kind, i == 0 ? DescriptorKind::error : DescriptorKind::sent);
    if (i > 0) {
      EXPECT_EQ(record.user_data, i);
    }
  }
}

TEST(DeadDescriptor, fails_what_waits_in_the_thread) {
  test::FakeIoRig rig;
  test::SlowSocket slow(rig);  // never writable again
  std::atomic<int> error{EAGAIN};
  rig.engine.on_send([&](const Outgoing&) { return error.load(); });
  Staged staged;
  ASSERT_EQ(staged.add(kPeer, "one", 1).add(kPeer, "two", 2).send(rig.thread, *slow.endpoint), 2u);
  error = EBADF;
  rig.engine.arrive(slow.endpoint->fd.get(), {"", {}, 0, {}, EBADF});
  ASSERT_TRUE(rig.read_records(3));
  expect_failures(rig, EBADF);
  EXPECT_EQ(get(*slow.endpoint, Counter::tx_errors), 2u);
}

// Receiving alone may fail for good (EFAULT): then a full send buffer is waited for as ever.
TEST(DeadDescriptor, sends_what_waits_where_it_still_can) {
  test::FakeIoRig rig;
  test::SlowSocket slow(rig);
  Staged staged;
  ASSERT_EQ(staged.add(kPeer, "one", 1).send(rig.thread, *slow.endpoint), 1u);
  rig.engine.arrive(slow.endpoint->fd.get(), {"", {}, 0, {}, EFAULT});
  ASSERT_TRUE(rig.read_records(1));
  EXPECT_EQ(rig.records[0].descriptor.result, -EFAULT);
  slow.drain();
  ASSERT_TRUE(rig.read_records(2));
  EXPECT_EQ(rig.records[1].descriptor.result, 3);
}

// The thread stands before its gate, which refuses what is sent, too.
class DyingEngine : public test::GatedEngine {
 public:
  using GatedEngine::GatedEngine;
  std::atomic<bool> dead{false};

  int receive(int fd, std::span<Message> messages) override {
    return dead ? -ENOTSOCK : GatedEngine::receive(fd, messages);
  }
  int send(int fd, std::span<Message> messages) override {
    return dead ? -ENOTSOCK : GatedEngine::send(fd, messages);
  }
};

// As DyingEngine, of one that can still send. The new entry is refused, once, and the old one is gone by
// then.
class DeafEngine : public test::GatedEngine {
 public:
  using GatedEngine::GatedEngine;
  std::atomic<bool> dead{false}, refuses{false};
  std::atomic<int> room{0};  // for so many datagrams

  int send(int fd, std::span<Message> messages) override {
    return room > 0 && room-- > 0 ? ForwardingEngine::send(fd, messages.first(1)) : -EAGAIN;
  }
  int receive(int fd, std::span<Message> messages) override {
    return dead ? -EFAULT : GatedEngine::receive(fd, messages);
  }
  int change(int fd, uint64_t token, uint32_t interest) override {
    if (!refuses.exchange(false)) return GatedEngine::change(fd, token, interest);
    unwatch(fd);
    return -ENOSPC;
  }
};

TEST(DeadDescriptor, waits_on_to_send_though_the_loop_has_received_last_and_its_new_entry_is_refused) {
  auto* deaf = new DeafEngine(test::make_engine("mmsg"));
  test::EventLoop loop{std::unique_ptr<Engine>(deaf)};
  auto socket = loop.socket();
  deaf->open();
  // It is new to the thread no more.
  ASSERT_TRUE(test::eventually([&] {
    std::lock_guard lock(socket->watch.mutex);
    return socket->watch.known;
  }));
  deaf->shut();
  Staged staged;
  ASSERT_EQ(staged.add(kPeer, "one", 1).add(kPeer, "two", 2).send(loop.rig->thread, *socket), 2u);
  deaf->dead = true;
  deaf->refuses = true;
  deaf->room = 1;
  EXPECT_TRUE(loop.rig->thread.receive_on_loop(socket->sharing.place));
  EXPECT_FALSE(deaf->refuses);
  loop.rig->drain();
  ASSERT_EQ(loop.rig->records.size(), 2u);
  EXPECT_EQ(loop.rig->records[0].descriptor.result, -EFAULT);
  EXPECT_EQ(loop.rig->records[1].descriptor.user_data, 1u);
  deaf->room = 1;
  deaf->open();
  EXPECT_TRUE(loop.rig->read_until([&] { return loop.rig->records.back().descriptor.user_data == 2; }));
}

TEST(DeadDescriptor, fails_what_waits_though_the_loop_was_the_one_to_receive) {
  auto* dying = new DyingEngine(test::make_engine("mmsg"));
  test::EventLoop loop{std::unique_ptr<Engine>(dying)};
  auto socket = loop.socket();
  Staged staged;
  ASSERT_EQ(staged.add(kPeer, "one", 1).add(kPeer, "two", 2).send(loop.rig->thread, *socket), 2u);
  dying->dead = true;
  EXPECT_TRUE(loop.rig->thread.receive_on_loop(socket->sharing.place));
  loop.rig->drain();
  expect_failures(*loop.rig, ENOTSOCK);
  dying->open();
}

}  // namespace
}  // namespace ksocket
