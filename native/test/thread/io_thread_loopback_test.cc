// The I/O thread on real sockets and both engines.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/answer/fixed_responder.h"
#include "core/socket/options.h"
#include "core/thread/io_thread.h"
#include "support/build.h"
#include "support/engines.h"
#include "support/fake_engine.h"
#include "support/io_rig.h"
#include "support/loopback.h"
#include "support/process.h"

namespace ksocket {
namespace {

using test::bound_socket;
using test::eventually;
using test::IoRig;
using test::name_of;
using test::Peer;
using test::Staged;

uint64_t get(const Endpoint& endpoint, Counter counter) {
  return endpoint.counters.get(counter);
}

// A real engine whose sends meet a full buffer for as long as the test likes: on loopback the kernel's never
// is, since what is sent has arrived by the time the call returns.
class StubbornEngine : public Engine {
 public:
  explicit StubbornEngine(std::unique_ptr<Engine> real) : real_(std::move(real)) {}
  std::atomic<int> refusals{0};  // this many more sends fail with EAGAIN

  const char* name() const override { return real_->name(); }
  Traits traits() const override { return {.offloads = real_->traits().offloads}; }
  int watch(int fd, uint64_t token, uint32_t interest) override { return real_->watch(fd, token, interest); }
  int change(int fd, uint64_t token, uint32_t interest) override {
    return real_->change(fd, token, interest);
  }
  void unwatch(int fd) override { real_->unwatch(fd); }
  int wait(std::span<Event> events, int timeout_ms) override { return real_->wait(events, timeout_ms); }
  void wake() override { real_->wake(); }
  int receive(int fd, std::span<Message> messages) override { return real_->receive(fd, messages); }
  int send(int fd, std::span<Message> messages) override {
    if (refusals > 0 && refusals-- > 0) return -EAGAIN;
    return real_->send(fd, messages.first(std::min<size_t>(messages.size(), 3)));  // and partial, on the way
  }

 private:
  std::unique_ptr<Engine> real_;
};

class IoThreadLoopback : public test::OnEachEngine {
 protected:
  std::unique_ptr<IoRig> start(IoRig::Options options = {}) {
    return start_on(make_engine(), std::move(options));
  }
  std::unique_ptr<IoRig> start_on(std::unique_ptr<Engine> engine, IoRig::Options options = {}) {
    auto rig = std::make_unique<IoRig>(std::move(engine), std::move(options));
    EXPECT_EQ(rig->thread.start(), 0);
    return rig;
  }
  // A watched socket on a port of its own.
  static std::shared_ptr<Endpoint> listen(IoRig& rig, uint8_t family = 4) {
    return watch(rig, rig.add(bound_socket(family), family));
  }
  // One that is connected. The kernel would not mind if it were watched before, but ThreadSanitizer takes
  // connect() for the making of a descriptor.
  static std::shared_ptr<Endpoint> connected(IoRig& rig, const Address& to) {
    auto endpoint = rig.add(bound_socket());
    EXPECT_EQ(connect_socket(endpoint->fd.get(), to), 0);
    return watch(rig, endpoint);
  }
  static std::shared_ptr<Endpoint> watch(IoRig& rig, std::shared_ptr<Endpoint> endpoint) {
    set_option(endpoint->fd.get(), endpoint->family, SocketOption::report_kernel_drops, 1);
    EXPECT_EQ(rig.thread.watch(*endpoint), 0);
    return endpoint;
  }
};

INSTANTIATE_TEST_SUITE_P(, IoThreadLoopback, test::both_engines(), test::engine_name);

TEST_P(IoThreadLoopback, receives_from_the_network) {
  auto rig = start();
  auto socket = listen(*rig);
  Peer peer;
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "hello"));
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), ""));
  ASSERT_TRUE(rig->read_records(2));
  EXPECT_EQ(rig->data(), (std::vector<std::string>{"hello", ""}));
  EXPECT_TRUE(read_address(rig->records[0].descriptor) == peer.address());
  EXPECT_EQ(rig->records[0].descriptor.peer_id, rig->records[1].descriptor.peer_id);
}

TEST_P(IoThreadLoopback, receives_over_ipv6) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  auto rig = start();
  auto socket = listen(*rig, 6);
  Peer peer(6);
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "hello"));
  ASSERT_TRUE(rig->read_records(1));
  EXPECT_TRUE(read_address(rig->records[0].descriptor) == peer.address());
  Staged().add(peer.address(), "back").send(rig->thread, *socket);
  EXPECT_EQ(peer.receive(), "back");
}

TEST_P(IoThreadLoopback, receives_a_stream_in_order_without_loss) {
  auto rig = start();
  auto socket = listen(*rig);
  Address to = name_of(socket->fd.get());
  Peer peer;
  constexpr size_t kTotal = 20'000, kWindow = 50;  // no more on the way than any receive buffer holds
  for (size_t sent = 0; sent < kTotal;) {
    for (size_t i = 0; i < kWindow; i++, sent++) ASSERT_TRUE(peer.send(to, std::to_string(sent)));
    ASSERT_TRUE(rig->read_records(sent)) << "lost one of the first " << sent;
  }
  for (size_t i = 0; i < kTotal; i++) ASSERT_EQ(rig->records[i].data, std::to_string(i));
  EXPECT_EQ(get(*socket, Counter::rx_datagrams), kTotal);
  EXPECT_EQ(get(*socket, Counter::rx_kernel_drops) + get(*socket, Counter::rx_ring_drops), 0u);
}

TEST_P(IoThreadLoopback, answers_from_its_thread) {
  auto rig = start();
  auto socket = rig->add(bound_socket());
  FixedResponder::Options options;
  options.kind = FixedResponder::Kind::echo;
  socket->responder =
      std::make_unique<FixedResponder>(std::move(options), socket->fd.get(), kDatagramBytesMax,
                                       rig->thread.engine().traits().offloads, socket->counters);
  socket->deliver = false;
  ASSERT_EQ(rig->thread.watch(*socket), 0);
  Peer peer;
  for (int i = 0; i < 500; i++) {
    std::string question = "question " + std::to_string(i);
    ASSERT_TRUE(peer.send(name_of(socket->fd.get()), question));
    ASSERT_EQ(peer.receive(), question);
  }
  EXPECT_EQ(rig->bell.rings(), 0u);
  EXPECT_TRUE(eventually([&] { return get(*socket, Counter::tx_datagrams) == 500; }))
      << "counted after it left";
}

TEST_P(IoThreadLoopback, answers_to_a_target) {
  auto rig = start();
  auto socket = rig->add(bound_socket());
  Peer target, peer;
  FixedResponder::Options options;
  options.reply = {'t', 'e', 's', 't', 'i', 'n', 'g', '.', '.', '.'};
  ASSERT_EQ(open_udp(4, &options.target), 0);
  ASSERT_EQ(connect_socket(options.target.get(), target.address()), 0);
  socket->responder = std::make_unique<FixedResponder>(
      std::move(options), socket->fd.get(), 10, rig->thread.engine().traits().offloads, socket->counters);
  socket->keep_bytes_max = 10;
  ASSERT_EQ(rig->thread.watch(*socket), 0);
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "longer than ten bytes"));
  EXPECT_EQ(target.receive(), "testing...");
  ASSERT_TRUE(rig->read_records(1));
  EXPECT_EQ(rig->records[0].data, "longer tha");
  EXPECT_EQ(rig->records[0].descriptor.size, 21u);
  EXPECT_TRUE(peer.quiet());
}

TEST_P(IoThreadLoopback, sends_what_it_is_given) {
  auto rig = start();
  auto socket = listen(*rig);
  socket->tx.gso.enabled = rig->thread.engine().traits().offloads;
  Peer one, two;
  Staged staged;
  for (int i = 0; i < 30; i++)
    staged.add(i % 3 == 0 ? two.address() : one.address(), std::to_string(100 + i));
  EXPECT_EQ(staged.send(rig->thread, *socket), 0u);
  for (int32_t result : staged.results()) EXPECT_EQ(result, 3);
  Address from;
  for (int i = 0; i < 30; i++) {
    ASSERT_EQ((i % 3 == 0 ? two : one).receive(&from), std::to_string(100 + i));
    ASSERT_TRUE(from == name_of(socket->fd.get()));
  }
  EXPECT_EQ(get(*socket, Counter::tx_datagrams), 30u);
}

TEST_P(IoThreadLoopback, says_of_each_datagram_what_the_kernel_said) {
  auto rig = start();
  auto socket = listen(*rig);
  socket->tx.gso.enabled = rig->thread.engine().traits().offloads;
  Peer peer;
  Staged staged;
  staged.add(peer.address(), "one").add(peer.address(), std::string(65508, 'x')).add(peer.address(), "three");
  staged.add(test::address_of("255.255.255.255", 9), "no broadcast").add(peer.address(), "five");
  staged.send(rig->thread, *socket);
  EXPECT_EQ(staged.results(), (std::vector<int32_t>{3, -EMSGSIZE, 5, -EACCES, 4}));
  for (const char* data : {"one", "three", "five"}) EXPECT_EQ(peer.receive(), data);
  EXPECT_EQ(get(*socket, Counter::tx_errors), 2u);
}

// As node:dgram has it: the send that meets the ICMP answer of an earlier one fails, the next is free of it.
// With the I/O thread reading the socket it may as well be the receive that says so.
TEST_P(IoThreadLoopback, reports_a_closed_port_of_a_connected_socket_once) {
  auto rig = start();
  auto closed = std::make_unique<Peer>();
  auto socket = rig->add(bound_socket());  // not watched: nobody else meets the error
  socket->tx.gso.enabled = rig->thread.engine().traits().offloads;
  ASSERT_EQ(connect_socket(socket->fd.get(), closed->address()), 0);
  uint16_t port = closed->address().port;
  closed.reset();
  Staged first, second;
  EXPECT_EQ(first.add({}, "lost").send(rig->thread, *socket), 0u);
  EXPECT_EQ(first.results(), std::vector<int32_t>{4});
  second.add({}, "meets").add({}, "behind").send(rig->thread, *socket);
  EXPECT_EQ(second.results(), (std::vector<int32_t>{-ECONNREFUSED, 6})) << "port " << port;
}

TEST_P(IoThreadLoopback, reports_a_closed_port_to_whoever_reads) {
  auto rig = start();
  auto closed = std::make_unique<Peer>();
  auto socket = connected(*rig, closed->address());
  closed.reset();
  Staged().add({}, "x").send(rig->thread, *socket);
  ASSERT_TRUE(rig->read_records(1));
  EXPECT_EQ(rig->records[0].descriptor.kind, DescriptorKind::error);
  EXPECT_EQ(rig->records[0].descriptor.result, -ECONNREFUSED);
}

TEST_P(IoThreadLoopback, carries_super_datagrams_both_ways) {
  auto rig = start();
  bool offloads = rig->thread.engine().traits().offloads;
  auto from = listen(*rig), to = rig->add(bound_socket());
  if (offloads && set_option(to->fd.get(), 4, SocketOption::gro, 1) != 0)
    GTEST_SKIP() << "a kernel without GRO";
  from->tx.gso.enabled = offloads;
  ASSERT_EQ(rig->thread.watch(*to), 0);
  constexpr size_t kTotal = 3000, kEach = 100, kWindow = 60;
  std::string received, expected;
  for (size_t at = 0; at < kTotal; at += kWindow) {
    Staged staged;
    for (size_t i = at; i < at + kWindow; i++) {
      std::string data = std::to_string(i);
      data.resize(i % kWindow == kWindow - 1 ? kEach / 2 : kEach, '.');
      staged.add(name_of(to->fd.get()), data);
      expected += data;
    }
    EXPECT_EQ(staged.send(rig->thread, *from), 0u);
    ASSERT_TRUE(rig->read_until([&] {
      for (const auto& record : rig->records) {
        received += record.data;
        EXPECT_EQ(record.descriptor.segment_size, offloads ? kEach : 0u);
      }
      rig->records.clear();
      return received.size() >= expected.size();
    })) << "lost one of the first "
        << at + kWindow;
  }
  EXPECT_EQ(received, expected);
  EXPECT_EQ(get(*to, Counter::rx_datagrams), kTotal);
  EXPECT_EQ(get(*from, Counter::tx_datagrams), kTotal);
  EXPECT_EQ(get(*to, Counter::rx_gro_segments), offloads ? kTotal : 0u);
  EXPECT_EQ(get(*from, Counter::tx_gso_segments), offloads ? kTotal : 0u);
}

// ---- a full ring

TEST_P(IoThreadLoopback, leaves_what_the_ring_cannot_take_to_the_kernel_and_loses_nothing) {
  auto rig = start({.slots = 16});
  auto socket = listen(*rig);
  Peer peer;
  std::vector<std::string> expected;
  for (int i = 0; i < 100; i++) {  // far less than the smallest default receive buffer
    expected.push_back(std::to_string(i));
    ASSERT_TRUE(peer.send(name_of(socket->fd.get()), expected.back()));
  }
  ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_pauses) > 0; }));
  EXPECT_EQ(get(*socket, Counter::rx_datagrams), 16u);
  ASSERT_TRUE(rig->read_records(100));
  EXPECT_EQ(rig->data(), expected);
  EXPECT_EQ(get(*socket, Counter::rx_kernel_drops) + get(*socket, Counter::rx_ring_drops), 0u);
}

TEST_P(IoThreadLoopback, accounts_for_everything_when_nobody_reads_for_a_while) {
  for (bool drop : {false, true}) {
    auto rig = start({.slots = 64});
    auto socket = rig->add(bound_socket());
    socket->drop_when_full = drop;
    socket->may_grow = false;  // or a full batch raises the size again
    ASSERT_EQ(set_option(socket->fd.get(), 4, SocketOption::receive_buffer_bytes, 20'000), 0);
    ASSERT_EQ(set_option(socket->fd.get(), 4, SocketOption::report_kernel_drops, 1), 0);
    ASSERT_EQ(rig->thread.watch(*socket), 0);
    Address to = name_of(socket->fd.get());
    Peer peer;
    uint64_t sent = 0;
    auto send_some = [&](int count) {
      for (int i = 0; i < count; i++) sent += peer.send(to, std::string(100, 'x'));
    };
    ASSERT_TRUE(eventually([&] {
      send_some(100);
      return get(*socket, drop ? Counter::rx_ring_drops : Counter::rx_pauses) > 0;
    }));
    send_some(1000);  // a paused socket's kernel buffer holds a tenth of them

    // The kernel says how many it dropped with a datagram that it accepted afterwards.
    uint64_t tries = 0;
    EXPECT_TRUE(eventually([&] {
      rig->drain();
      if (get(*socket, Counter::rx_datagrams) + get(*socket, Counter::rx_kernel_drops) == sent) return true;
      if (tries++ % 100 == 0) sent += peer.send(to, "how many?");
      return false;
    })) << get(*socket, Counter::rx_datagrams)
        << " received, " << get(*socket, Counter::rx_kernel_drops) << " dropped by the kernel, " << sent
        << " sent";
    EXPECT_TRUE(eventually([&] {
      rig->drain();
      return get(*socket, Counter::rx_datagrams) ==
             rig->records.size() + get(*socket, Counter::rx_ring_drops);
    }));
    EXPECT_TRUE(drop || get(*socket, Counter::rx_kernel_drops) > 0);
    EXPECT_EQ(drop, get(*socket, Counter::rx_ring_drops) > 0);
    EXPECT_EQ(drop, get(*socket, Counter::rx_pauses) == 0);
  }
}

// ---- deferred sends

TEST_P(IoThreadLoopback, completes_deferred_sends_in_order) {
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
TEST_P(IoThreadLoopback, sends_from_one_thread_while_the_other_receives_and_works_off_the_backlog) {
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

// ---- many sockets, and the end of them

TEST_P(IoThreadLoopback, serves_many_sockets_with_one_thread_and_gives_everything_back) {
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

TEST_P(IoThreadLoopback, closes_a_flooded_socket_promptly) {
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
TEST_P(IoThreadLoopback, frees_the_port_before_close_returns) {
  auto rig = start();
  auto socket = listen(*rig);
  Address name = name_of(socket->fd.get());
  for (int round = 0; round < 200; round++) {
    rig->thread.close(socket->id);
    Fd again;
    ASSERT_EQ(open_udp(4, &again), 0);
    ASSERT_EQ(bind_socket(again.get(), name), 0) << "round " << round;
    socket = watch(*rig, rig->add(std::move(again)));
  }
  Peer peer;
  ASSERT_TRUE(peer.send(name, "still here"));
  ASSERT_TRUE(rig->read_records(1));
}

TEST_P(IoThreadLoopback, stops_while_it_receives) {
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
TEST_P(IoThreadLoopback, serves_a_quiet_socket_beside_a_flooded_one) {
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
TEST_P(IoThreadLoopback, sleeps_while_a_paused_socket_has_an_error) {
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
