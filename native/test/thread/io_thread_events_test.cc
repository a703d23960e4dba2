// What the I/O thread does for what the engine tells it, and what not.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "core/answer/responder.h"
#include "support/event_loop.h"
#include "support/fake_io_rig.h"
#include "support/io_rig.h"

namespace ksocket {
namespace {

using test::get;
using test::kPeer;

TEST(IoThreadEvents, where_a_socket_can_be_sent_on_only_nothing_is_received) {
  test::FakeIoRig rig;
  test::SlowSocket slow(rig);
  test::Staged staged;
  ASSERT_EQ(staged.add(kPeer, "late", 1).send(rig.thread, *slow.endpoint), 1u);
  slow.drain();
  ASSERT_TRUE(rig.read_records(1));
  EXPECT_EQ(rig.records[0].descriptor.kind, DescriptorKind::sent);
  EXPECT_EQ(get(*slow.endpoint, Counter::rx_calls), 0u);
}

// One that event loops share. Counts how often the thread looks again between hearing of something and doing
// it.
class CountingEngine : public test::FakeEngine {
 public:
  Traits traits() const override { return {.offloads = true, .exclusive = true}; }
  int wait(std::span<Event> events, int timeout_ms) override {
    if (told) looks++;
    if (uint64_t token = readable.exchange(0)) {
      told = true;
      if (on_told) on_told();
      return events[0] = {token, true, false}, 1;
    }
    int count = FakeEngine::wait(events, timeout_ms);
    auto found = events.first(static_cast<size_t>(std::max(count, 0)));
    if (std::any_of(found.begin(), found.end(), [](const Event& event) { return event.writable; }))
      told = true;
    return count;
  }
  int receive(int fd, std::span<Message> messages) override {
    note();
    return FakeEngine::receive(fd, messages);
  }
  int send(int fd, std::span<Message> messages) override {
    note();
    return FakeEngine::send(fd, messages);
  }

  // This socket is said to be readable, once.
  void tell(const Endpoint& endpoint) {
    readable = endpoint.id;
    wake();
  }
  std::function<void()> on_told;      // the thread is about to hear of that
  std::atomic<int> looks{0};          // since it has heard
  std::atomic<int> looks_before{-1};  // it received or sent

 private:
  void note() {
    if (told && looks_before < 0) looks_before = looks.load();
  }

  std::atomic<uint64_t> readable{0};
  std::atomic<bool> told{false};
};

TEST(IoThreadEvents, where_something_comes_to_a_socket_of_the_loop_the_loop_gets_a_moment) {
  auto* engine = new CountingEngine;
  test::EventLoop loop{std::unique_ptr<Engine>(engine)};
  engine->tell(*loop.socket());
  ASSERT_TRUE(test::eventually([&] { return engine->looks > 0; }));
  EXPECT_EQ(engine->looks_before, -1) << "nothing was left when it looked again";
}

TEST(IoThreadEvents, where_the_thread_is_asked_to_go_on_it_waits_for_no_loop) {
  auto* engine = new CountingEngine;
  test::EventLoop loop{std::unique_ptr<Engine>(engine)};
  auto socket = loop.socket();
  engine->on_told = [&] { loop.rig->thread.resume(); };
  engine->tell(*socket);
  ASSERT_TRUE(test::eventually([&] { return engine->looks_before >= 0; }));
  EXPECT_EQ(engine->looks_before, 0);
}

// The loop, which may be at work all the time, looks after what comes only.
TEST(IoThreadEvents, where_a_socket_of_the_loop_can_be_sent_on_it_is_not_left_to_the_loop) {
  auto* engine = new CountingEngine;
  test::EventLoop loop{std::unique_ptr<Engine>(engine)};
  auto socket = loop.socket();
  ASSERT_TRUE(socket->sharing.shared);
  std::atomic<bool> full{true};
  engine->on_send([&](const test::Outgoing&) { return full ? EAGAIN : 0; });
  engine->set_writable(socket->fd.get(), false);
  test::Staged staged;
  ASSERT_EQ(staged.add(kPeer, "late").send(loop.rig->thread, *socket), 1u);
  full = false;
  engine->set_writable(socket->fd.get(), true);
  EXPECT_TRUE(test::eventually([&] {
    std::lock_guard lock(socket->tx_mutex);
    return socket->backlog.empty();
  }));
  EXPECT_EQ(engine->looks_before, 0);
}

class Ticking : public Responder {
 public:
  Ticking(bool wants, std::atomic<int>& ticks) : wants_(wants), ticks_(ticks) {}
  std::span<const Incoming> answer(const ResponderTools&, const uint8_t*,
                                   std::span<const Incoming> batch) override {
    return batch;
  }
  bool wants_ticks() const override { return wants_; }
  void tick() override { ticks_++; }

 private:
  bool wants_;
  std::atomic<int>& ticks_;
};

TEST(IoThreadEvents, who_wants_ticks_gets_them_though_nothing_comes_and_nobody_else) {
  test::FakeIoRig rig;
  std::atomic<int> wanted{0}, unwanted{0};
  for (auto* ticks : {&wanted, &unwanted}) {
    auto endpoint = rig.add(test::dummy_fd());
    endpoint->responder = std::make_unique<Ticking>(ticks == &wanted, *ticks);
    ASSERT_EQ(rig.thread.watch(*endpoint), 0);
  }
  EXPECT_TRUE(test::eventually([&] { return wanted >= 2; }));
  EXPECT_EQ(unwanted, 0);
}

}  // namespace
}  // namespace ksocket
