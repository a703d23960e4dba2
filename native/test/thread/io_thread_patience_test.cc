// A kernel that says "ready" and then is not: nothing of that may keep the thread busy, or what is behind it.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "core/thread/io_thread.h"
#include "support/fake_io_rig.h"
#include "support/io_thread_loopback.h"

namespace ksocket {
namespace {

using test::eventually;
using test::FakeEngine;
using test::get;
using test::kPeer;
using test::name_of;
using test::Outgoing;
using test::Peer;
using test::Staged;

using Rig = test::FakeIoRig;

// How often a thread with nothing to do may look in the time of quiet(): waits double, up to 128 ms.
constexpr uint64_t kFewWaits = 60;

// The thread's waits while nothing happens. A thread that spins has ten thousands of them.
uint64_t waits_in_quiet(test::IoRig& rig) {
  uint64_t before = rig.thread_counters[Counter::waits];
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  return rig.thread_counters[Counter::waits] - before;
}

// ---- sending

TEST(IoThreadPatience, reports_a_datagram_that_no_send_buffer_takes_and_sends_the_rest) {
  Rig rig;
  auto socket = rig.socket();
  rig.engine.on_send([](const Outgoing& m) { return m.data.size() > 1000 ? ENOBUFS : 0; });
  Staged staged;
  staged.add(kPeer, "before", 1).add(kPeer, std::string(60'000, 'x'), 2).add(kPeer, "behind", 3);
  EXPECT_EQ(staged.send(rig.thread, *socket), 2u);
  ASSERT_TRUE(rig.read_records(2));
  EXPECT_EQ(rig.records[0].descriptor.user_data, 2u);
  EXPECT_EQ(rig.records[0].descriptor.result, -ENOBUFS);
  EXPECT_EQ(rig.records[1].descriptor.user_data, 3u);
  EXPECT_EQ(rig.records[1].descriptor.result, 6);
  EXPECT_EQ(get(*socket, Counter::tx_errors), 1u);
  EXPECT_EQ(get(*socket, Counter::tx_datagrams), 2u);
  EXPECT_LT(waits_in_quiet(rig), kFewWaits);
  EXPECT_EQ(rig.engine.interest(socket->fd.get()), kReadable);
}

TEST(IoThreadPatience, tries_a_writable_socket_that_takes_nothing_now_and_then) {
  Rig rig;
  auto socket = rig.socket();
  std::atomic<bool> full{true};
  rig.engine.on_send([&](const Outgoing&) { return full ? EAGAIN : 0; });
  Staged staged;
  staged.add(kPeer, "one", 1);
  EXPECT_EQ(staged.send(rig.thread, *socket), 1u);
  EXPECT_LT(waits_in_quiet(rig), kFewWaits);
  Staged later;
  later.add(kPeer, "two", 2);
  EXPECT_EQ(later.send(rig.thread, *socket), 1u);
  rig.arrive(*socket, "and still receives");
  ASSERT_TRUE(rig.read_records(1));
  full = false;
  ASSERT_TRUE(rig.read_records(3));
  EXPECT_EQ(rig.records[1].descriptor.user_data, 1u);
  EXPECT_EQ(rig.records[2].descriptor.user_data, 2u);
  EXPECT_TRUE(eventually([&] { return rig.engine.interest(socket->fd.get()) == kReadable; }));
}

// ---- receiving

// Whatever arrives, receiving fails as long as it is told to.
class FailingEngine : public FakeEngine {
 public:
  std::atomic<int> receive_error{0}, wait_error{0};
  std::atomic<int> changes_refused{0};  // so many more will be

  int receive(int fd, std::span<Message> messages) override {
    if (int error = receive_error) return -error;
    return FakeEngine::receive(fd, messages);
  }
  int wait(std::span<Event> events, int timeout_ms) override {
    waits++;
    if (uint64_t token = doubtful.exchange(0)) return events[0] = {token, true, false}, 1;
    if (int error = wait_error) return -error;
    return FakeEngine::wait(events, timeout_ms);
  }
  // As epoll's: the old entry is gone by then.
  int change(int fd, uint64_t token, uint32_t interest) override {
    if (changes_refused > 0) {
      changes_refused--;
      unwatch(fd);
      return -ENOSPC;
    }
    return FakeEngine::change(fd, token, interest);
  }
  std::atomic<uint64_t> waits{0};
  std::atomic<uint64_t> doubtful{0};  // this one is said to be readable, once
};

TEST(IoThreadPatience, tries_a_readable_socket_that_has_nothing_now_and_then) {
  for (int error : {EAGAIN, ENOMEM, EIO, EPERM}) {
    auto* failing = new FailingEngine;
    Rig rig(failing, {});
    auto socket = rig.socket();
    failing->receive_error = error;
    rig.arrive(*socket, "patience");
    EXPECT_LT(waits_in_quiet(rig), 64 + kFewWaits) << error;
    failing->receive_error = 0;
    ASSERT_TRUE(
        rig.read_until([&] { return !rig.records.empty() && rig.records.back().data == "patience"; }));
    uint64_t told = rig.records.size() - 1;
    EXPECT_EQ(told, get(*socket, Counter::rx_errors));
    EXPECT_EQ(told > 0, error == EIO || error == EPERM) << error;
    rig.arrive(*socket, "at once again");
    ASSERT_TRUE(rig.read_records(told + 2));
  }
}

// It is watched again only for what it is to be watched for by then.
TEST(IoThreadPatience, leaves_a_socket_alone_that_paused_while_it_was_left_alone) {
  auto* failing = new FailingEngine;
  Rig rig(failing, {.slots = 4});
  auto socket = rig.socket(), filling = rig.add(test::dummy_fd());
  filling->drop_when_full = true;
  ASSERT_EQ(rig.thread.watch(*filling), 0);
  failing->receive_error = EAGAIN;
  for (int i = 0; i < 8; i++) rig.arrive(*socket, "x");
  waits_in_quiet(rig);  // until it is left alone for the longest time
  // From the beginning of one such time on, so that all of this is within it.
  uint64_t calls = get(*socket, Counter::rx_calls);
  ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_calls) > calls; }));
  failing->receive_error = 0;
  for (int i = 0; i < 4; i++) rig.arrive(*filling, "f");
  ASSERT_TRUE(eventually([&] { return get(*filling, Counter::rx_datagrams) == 4; }));
  failing->doubtful = socket->id;
  failing->wake();
  ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_pauses) == 1; }));
  EXPECT_LT(waits_in_quiet(rig), kFewWaits);
  EXPECT_EQ(rig.engine.interest(socket->fd.get()), kNothing);
  EXPECT_TRUE(rig.read_until([&] { return get(*socket, Counter::rx_datagrams) == 8; }));
}

TEST(IoThreadPatience, does_not_run_in_circles_where_it_may_not_wait) {
  auto* failing = new FailingEngine;
  Rig rig(failing, {});
  auto socket = rig.socket();
  failing->wait_error = ENOSYS;
  failing->wake();
  uint64_t before = failing->waits;
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_LT(failing->waits - before, kFewWaits);
  failing->wait_error = 0;
  rig.arrive(*socket, "x");
  EXPECT_TRUE(rig.read_records(1));
}

// ---- watching

TEST(IoThreadPatience, sends_what_waits_behind_unwatch_where_the_engine_refuses_its_new_entry) {
  auto* failing = new FailingEngine;
  Rig rig(failing, {});
  test::SlowSocket slow(rig);
  Staged staged;
  ASSERT_EQ(staged.add(kPeer, "late", 1).send(rig.thread, *slow.endpoint), 1u);
  failing->changes_refused = 1;
  rig.thread.unwatch(*slow.endpoint);
  EXPECT_EQ(failing->changes_refused, 0);
  slow.drain();
  ASSERT_TRUE(rig.read_records(1));
  EXPECT_EQ(rig.records[0].descriptor.kind, DescriptorKind::sent);
}

// Its sending is all right.
TEST(IoThreadPatience, sends_what_waits_where_receiving_fails_for_good_and_the_engine_refuses_its_new_entry) {
  auto* failing = new FailingEngine;
  Rig rig(failing, {});
  test::SlowSocket slow(rig);
  std::atomic<int> room{0};  // for so many datagrams
  rig.engine.on_send([&](const test::Outgoing&) { return room > 0 && room-- > 0 ? 0 : EAGAIN; });
  Staged staged;
  ASSERT_EQ(staged.add(kPeer, "late", 1).add(kPeer, "later", 2).send(rig.thread, *slow.endpoint), 2u);
  room = 1;
  failing->changes_refused = 1;
  failing->receive_error = EFAULT;
  rig.arrive(*slow.endpoint, "x");
  ASSERT_TRUE(rig.read_records(2));
  EXPECT_EQ(rig.records[0].descriptor.result, -EFAULT);
  EXPECT_EQ(rig.records[1].descriptor.result, 4);
  EXPECT_EQ(failing->changes_refused, 0);
  room = 1;
  slow.drain();
  ASSERT_TRUE(rig.read_records(3));
  EXPECT_EQ(rig.records[2].descriptor.result, 5);
}

TEST(IoThreadPatience, asks_again_where_the_engine_will_not_watch_a_socket_that_it_knew) {
  auto* failing = new FailingEngine;
  Rig rig(failing, {.slots = 64, .arena_bytes = 8 << 20});
  auto socket = rig.socket();
  failing->changes_refused = 1;
  for (int i = 0; i < 100; i++) rig.arrive(*socket, std::to_string(i));
  ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_pauses) > 0; }));
  ASSERT_TRUE(rig.read_records(100));
  EXPECT_EQ(rig.records.back().data, "99");
  EXPECT_EQ(failing->changes_refused, 0);
}

TEST(IoThreadPatience, sends_a_backlog_where_the_engine_would_not_watch_for_it_at_first) {
  auto* failing = new FailingEngine;
  Rig rig(failing, {});
  test::SlowSocket slow(rig);
  failing->changes_refused = 1;
  Staged staged;
  staged.add(kPeer, "x", 1);
  EXPECT_EQ(staged.send(rig.thread, *slow.endpoint), 1u);
  slow.drain();
  ASSERT_TRUE(rig.read_records(1));
  EXPECT_EQ(rig.records[0].descriptor.result, 1);
}

// ---- on real sockets

class IoThreadPatienceOn : public test::IoThreadOnLoopback {};

INSTANTIATE_TEST_SUITE_P(, IoThreadPatienceOn, test::both_engines(), test::engine_name);

// shutdown(2), on a copy of the descriptor that somebody else has: readable for ever, and there is nothing.
TEST_P(IoThreadPatienceOn, leaves_a_socket_alone_that_was_shut_down) {
  auto rig = start();
  auto socket = listen(*rig);
  shutdown(socket->fd.get(), SHUT_RD);
  EXPECT_LT(waits_in_quiet(*rig), 64 + kFewWaits);
  Peer peer;
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "x"));
  EXPECT_TRUE(rig->read_records(1)) << "the kernel takes them in all the same";
}

// An adopted descriptor may have IP_RECVERR: then each ICMP message waits in a queue of its own, too.
TEST_P(IoThreadPatienceOn, reads_the_errors_that_nobody_asks_for) {
  auto rig = start();
  Address nobody = name_of(test::bound_socket().get());
  auto socket = connected(*rig, nobody);
  int on = 1;
  ASSERT_EQ(setsockopt(socket->fd.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
  Staged staged;
  staged.add({}, "x");
  staged.send(rig->thread, *socket);
  ASSERT_TRUE(rig->read_records(1)) << "ECONNREFUSED";
  EXPECT_LT(waits_in_quiet(*rig), 64 + kFewWaits);
  uint8_t byte;
  EXPECT_LT(recv(socket->fd.get(), &byte, 1, MSG_ERRQUEUE | MSG_DONTWAIT), 0);
}

// A forged request's port 0 says nothing of a size: what goes elsewhere is joined as before.
TEST_P(IoThreadPatienceOn, joins_on_after_a_destination_that_nothing_can_be_sent_to) {
  auto rig = start();
  auto socket = listen(*rig);
  socket->tx.gso.enabled = rig->thread.engine().traits().offloads;
  Peer peer;
  Address nowhere = peer.address();
  nowhere.port = 0;
  for (int i = 0; i < 2; i++) {
    Staged staged;
    staged.add(nowhere, "aaa").add(nowhere, "bbb").add(peer.address(), "ccc").add(peer.address(), "ddd");
    EXPECT_EQ(staged.send(rig->thread, *socket), 0u);
    EXPECT_EQ(staged.results(), (std::vector<int32_t>{-EINVAL, -EINVAL, 3, 3}));
    EXPECT_EQ(peer.receive(), "ccc");
    EXPECT_EQ(peer.receive(), "ddd");
  }
  EXPECT_EQ(get(*socket, Counter::tx_gso_segments), socket->tx.gso.enabled ? 4u : 0u);
  EXPECT_EQ(get(*socket, Counter::tx_gso_fallbacks), 0u);
}

}  // namespace
}  // namespace ksocket
