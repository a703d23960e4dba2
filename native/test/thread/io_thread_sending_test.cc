// What the I/O thread sends, and sends later, on the fake engine.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/thread/io_thread.h"
#include "support/fake_io_rig.h"

namespace ksocket {
namespace {

using test::eventually;
using test::FakeEngine;
using test::get;
using test::kPeer;
using test::Outgoing;
using test::SlowSocket;
using test::Staged;

using Rig = test::FakeIoRig;
using Results = std::vector<int32_t>;

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

}  // namespace
}  // namespace ksocket
