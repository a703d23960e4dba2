// What a kernel that is full for a while makes of sends, on real sockets and both engines.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <string>

#include "core/answer/fixed_responder.h"
#include "core/thread/io_thread.h"
#include "support/engines.h"
#include "support/gated_engine.h"
#include "support/io_rig.h"
#include "support/io_thread_loopback.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::bound_socket;
using test::eventually;
using test::get;
using test::name_of;
using test::Peer;
using test::Staged;

// A real engine whose sends meet a full buffer for as long as the test likes: on loopback the kernel's never
// is, since what is sent has arrived by the time the call returns.
class StubbornEngine : public test::ForwardingEngine {
 public:
  using ForwardingEngine::ForwardingEngine;
  std::atomic<int> refusals{0};  // this many more sends fail with EAGAIN

  int send(int fd, std::span<Message> messages) override {
    if (refusals > 0 && refusals-- > 0) return -EAGAIN;
    // And partial, on the way.
    return ForwardingEngine::send(fd, messages.first(std::min<size_t>(messages.size(), 3)));
  }
};

class IoThreadBacklog : public test::IoThreadOnLoopback {};

INSTANTIATE_TEST_SUITE_P(, IoThreadBacklog, test::both_engines(), test::engine_name);

TEST_P(IoThreadBacklog, completes_deferred_sends_in_order) {
  auto* stubborn = new StubbornEngine(make_engine());
  auto rig = start_on(std::unique_ptr<Engine>(stubborn));
  auto socket = listen(*rig);
  Peer peer;
  uint64_t number = 0;
  uint64_t deferred = 0;
  for (int round = 0; round < 30; round++) {
    stubborn->refusals = round % 4;
    for (int run = 0; run < 3; run++) {
      Staged staged;
      for (int i = 0; i < 7; i++) {
        number++;
        staged.add(peer.address(), std::to_string(number), number);
      }
      deferred += staged.send(rig->thread, *socket);
    }
    ASSERT_TRUE(rig->read_records(deferred));
    for (uint64_t i = number - 20; i <= number; i++) ASSERT_EQ(peer.receive(), std::to_string(i));
  }
  EXPECT_GT(deferred, 0u);
  EXPECT_LT(deferred, number);
  uint64_t last = 0;
  for (const auto& record : rig->records) {
    ASSERT_EQ(record.descriptor.kind, DescriptorKind::sent);
    ASSERT_GT(record.descriptor.user_data, last);
    last = record.descriptor.user_data;
    ASSERT_EQ(record.descriptor.result, static_cast<int32_t>(std::to_string(last).size()));
  }
  EXPECT_EQ(get(*socket, Counter::tx_datagrams), number);
  EXPECT_EQ(get(*socket, Counter::tx_deferred), deferred);
}

// Both threads send and receive on one socket at once; ThreadSanitizer looks on.
TEST_P(IoThreadBacklog, sends_from_one_thread_while_the_other_receives_and_works_off_the_backlog) {
  auto* stubborn = new StubbornEngine(make_engine());
  auto rig = start_on(std::unique_ptr<Engine>(stubborn));
  auto socket = listen(*rig), mirror = rig->add(bound_socket());
  FixedResponder::Options options;
  options.kind = FixedResponder::Kind::echo;
  mirror->responder = std::make_unique<FixedResponder>(std::move(options), mirror->fd.get(),
                                                       kDatagramBytesMax, false, mirror->counters);
  mirror->deliver = false;
  ASSERT_EQ(rig->thread.watch(*mirror), 0);
  Address to = name_of(mirror->fd.get());
  uint64_t echoes = 0, dropped = 0, sent = 0;
  for (int round = 0; round < 500; round++) {
    // Now and then the mirror's answers meet the full buffer instead, and are dropped and counted.
    stubborn->refusals = round % 5 == 0 ? 2 : 0;
    Staged staged;
    for (int i = 0; i < 10; i++) staged.add(to, std::to_string(sent++));
    staged.send(rig->thread, *socket);
    ASSERT_TRUE(rig->read_until([&] {
      echoes = rig->records.size();
      dropped = get(*mirror, Counter::tx_dropped);
      return echoes + dropped >= sent || dropped > 0;
    }));
    if (dropped > 0) {
      ASSERT_TRUE(eventually([&] {
        rig->drain();
        return rig->records.size() + get(*mirror, Counter::tx_dropped) == sent;
      }));
    }
  }
  EXPECT_EQ(rig->records.size() + get(*mirror, Counter::tx_dropped), sent);
}

}  // namespace
}  // namespace ksocket
