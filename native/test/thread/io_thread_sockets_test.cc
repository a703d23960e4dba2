// Many sockets of one I/O thread, and their end, on both engines.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "core/answer/fixed_responder.h"
#include "core/thread/io_thread.h"
#include "support/build.h"
#include "support/engines.h"
#include "support/io_rig.h"
#include "support/io_thread_loopback.h"
#include "support/loopback.h"
#include "support/process.h"

namespace ksocket {
namespace {

using test::bound_socket;
using test::eventually;
using test::get;
using test::name_of;
using test::Peer;
using test::Staged;

class IoThreadSockets : public test::IoThreadOnLoopback {};

INSTANTIATE_TEST_SUITE_P(, IoThreadSockets, test::both_engines(), test::engine_name);

TEST_P(IoThreadSockets, serves_many_sockets_with_one_thread_and_gives_everything_back) {
  size_t descriptors = test::open_descriptors(), threads = test::threads_at_rest();
  {
    auto rig = start({.slots = 4096});
    EXPECT_EQ(test::threads(), threads + 1);
    constexpr size_t kSockets = 300;
    constexpr int kEach = 5;
    std::map<uint32_t, uint16_t> port_of;
    std::vector<Address> names;
    for (size_t i = 0; i < kSockets; i++) {
      auto socket = listen(*rig);
      names.push_back(name_of(socket->fd.get()));
      port_of[socket->id] = names.back().port;
    }
    EXPECT_EQ(test::threads(), threads + 1);
    Peer peer;
    for (int round = 0; round < kEach; round++) {
      for (const Address& to : names) ASSERT_TRUE(peer.send(to, std::to_string(to.port)));
    }
    ASSERT_TRUE(rig->read_records(kSockets * kEach));
    std::map<uint32_t, int> heard;
    for (const auto& record : rig->records) {
      heard[record.descriptor.socket_id]++;
      ASSERT_EQ(record.data, std::to_string(port_of.at(record.descriptor.socket_id)));
    }
    for (const auto& [id, count] : heard) EXPECT_EQ(count, kEach);
    EXPECT_EQ(heard.size(), kSockets);
    size_t half = 0;
    for (const auto& [id, port] : port_of) {
      if (half++ < kSockets / 2) rig->thread.close(id);
    }
    rig->thread.stop();
  }
  EXPECT_TRUE(eventually([&] { return test::threads() == threads; }));
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

TEST_P(IoThreadSockets, leaves_to_the_kernel_what_comes_behind_unwatch) {
  auto rig = start();
  auto socket = listen(*rig);
  auto other = listen(*rig);
  Address name = name_of(socket->fd.get());
  Peer peer;
  ASSERT_TRUE(peer.send(name, "before"));
  ASSERT_TRUE(rig->read_records(1));
  rig->thread.unwatch(*socket);
  ASSERT_TRUE(peer.send(name, "behind"));
  ASSERT_TRUE(peer.send(name_of(other->fd.get()), "other"));
  ASSERT_TRUE(rig->read_records(2));
  EXPECT_EQ(rig->records[1].data, "other");
  rig->thread.resume();  // what waits for room is not this socket
  ASSERT_TRUE(peer.send(name_of(other->fd.get()), "again"));
  ASSERT_TRUE(rig->read_records(3));
  EXPECT_EQ(rig->records[2].data, "again");
  char left[16];
  EXPECT_EQ(recv(socket->fd.get(), left, sizeof left, MSG_DONTWAIT), 6);
}

// One sends as fast as it can until told to stop.
class Flood {
 public:
  explicit Flood(const Address& to) : to_(to), thread_([this] { run(); }) {}
  ~Flood() {
    over_ = true;
    thread_.join();
  }

 private:
  void run() {
    Peer peer;
    while (!over_) {
      peer.send(to_, "flood");
      if (test::kThreadSanitizer)
        std::this_thread::yield();  // leave the tested thread some of two slow cores
    }
  }
  const Address to_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

TEST_P(IoThreadSockets, closes_a_flooded_socket_promptly) {
  for (bool drop : {false, true}) {
    auto rig = start({.slots = 256});
    for (int round = 0; round < 25; round++) {
      auto socket = rig->add(bound_socket());
      socket->drop_when_full = drop;
      ASSERT_EQ(rig->thread.watch(*socket), 0);
      Flood flood(name_of(socket->fd.get()));
      ASSERT_TRUE(eventually([&] {
        rig->drain();
        return get(*socket, Counter::rx_datagrams) > 200;
      }));
      auto before = std::chrono::steady_clock::now();
      rig->thread.close(socket->id);
      EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20));
      EXPECT_FALSE(socket->fd);
      uint64_t received = get(*socket, Counter::rx_datagrams);
      std::this_thread::yield();
      EXPECT_EQ(get(*socket, Counter::rx_datagrams), received) << "nothing is read after close()";
      rig->drain();
      rig->records.clear();
    }
  }
}

// The thread sleeps in the kernel on the very socket that is closed.
TEST_P(IoThreadSockets, frees_the_port_before_close_returns) {
  auto rig = start();
  auto socket = listen(*rig);
  Address name = name_of(socket->fd.get());
  for (int round = 0; round < 200; round++) {
    rig->thread.close(socket->id);
    Fd again;
    ASSERT_EQ(open_datagram(4, &again), 0);
    ASSERT_EQ(bind_socket(again.get(), name), 0) << "round " << round;
    socket = watch(*rig, rig->add(std::move(again)));
  }
  Peer peer;
  ASSERT_TRUE(peer.send(name, "still here"));
  ASSERT_TRUE(rig->read_records(1));
}

TEST_P(IoThreadSockets, stops_while_it_receives) {
  size_t descriptors = test::open_descriptors(), threads = test::threads_at_rest();
  for (int round = 0; round < 20; round++) {
    auto rig = start({.slots = 256});
    auto socket = listen(*rig);
    Flood flood(name_of(socket->fd.get()));
    ASSERT_TRUE(eventually([&] {
      if (round % 2 == 0) rig->drain();  // every other time the ring is full by then
      return get(*socket, Counter::rx_datagrams) > 200;
    }));
    rig->thread.stop();
    EXPECT_FALSE(rig->thread.running());
  }
  EXPECT_TRUE(eventually([&] { return test::threads() == threads; }));
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

// One socket's flood must not keep another's datagrams from being read.
TEST_P(IoThreadSockets, serves_a_quiet_socket_beside_a_flooded_one) {
  auto rig = start({.slots = 256});
  auto loud = rig->add(bound_socket()), quiet = rig->add(bound_socket());
  loud->drop_when_full = quiet->drop_when_full = true;
  FixedResponder::Options options;
  options.kind = FixedResponder::Kind::echo;
  quiet->responder = std::make_unique<FixedResponder>(std::move(options), quiet->fd.get(), kDatagramBytesMax,
                                                      false, quiet->counters);
  quiet->deliver = false;
  ASSERT_EQ(rig->thread.watch(*loud), 0);
  ASSERT_EQ(rig->thread.watch(*quiet), 0);
  Flood flood(name_of(loud->fd.get()));
  ASSERT_TRUE(eventually([&] { return get(*loud, Counter::rx_ring_drops) > 0; }));
  Peer peer;
  for (int i = 0; i < 100; i++) {
    ASSERT_TRUE(peer.send(name_of(quiet->fd.get()), std::to_string(i)));
    ASSERT_EQ(peer.receive(), std::to_string(i));
  }
}

// Reading stopped because the ring is full; an error that waits on such a socket must not turn into a busy
// loop.
TEST_P(IoThreadSockets, sleeps_while_a_paused_socket_has_an_error) {
  auto rig = start({.slots = 4});
  auto peer = std::make_unique<Peer>();
  auto socket = connected(*rig, peer->address()), trigger = rig->add(bound_socket());
  FixedResponder::Options options;
  options.kind = FixedResponder::Kind::echo;
  trigger->responder = std::make_unique<FixedResponder>(std::move(options), trigger->fd.get(),
                                                        kDatagramBytesMax, false, trigger->counters);
  trigger->deliver = false;
  ASSERT_EQ(rig->thread.watch(*trigger), 0);
  Address name = name_of(socket->fd.get());
  for (int i = 0; i < 10; i++) ASSERT_TRUE(peer->send(name, "x"));
  ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_pauses) == 1; }));
  peer.reset();
  Staged().add({}, "into the void").send(rig->thread, *socket);

  // Some round trips through the same thread are time enough for it to spin, and cost two waits each at most.
  uint64_t waits = rig->thread_counters[Counter::waits];
  Peer other;
  for (int i = 0; i < 50; i++) {
    ASSERT_TRUE(other.send(name_of(trigger->fd.get()), "x"));
    ASSERT_EQ(other.receive(), "x");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_LT(rig->thread_counters[Counter::waits] - waits, 200u);
  ASSERT_TRUE(rig->read_records(11));
  std::multiset<DescriptorKind> kinds;
  for (const auto& record : rig->records) kinds.insert(record.descriptor.kind);
  EXPECT_EQ(kinds.count(DescriptorKind::error), 1u);
}

}  // namespace
}  // namespace ksocket
