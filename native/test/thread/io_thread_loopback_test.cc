// The I/O thread on real sockets and both engines.
#include "support/io_thread_loopback.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/answer/fixed_responder.h"
#include "core/socket/options.h"
#include "core/thread/io_thread.h"
#include "support/engines.h"
#include "support/fake_engine.h"
#include "support/io_rig.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::bound_socket;
using test::eventually;
using test::get;
using test::name_of;
using test::Peer;
using test::Staged;

class IoThreadLoopback : public test::IoThreadOnLoopback {};

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

// Nobody receives from it, so nothing comes that would report what was dropped.
TEST_P(IoThreadLoopback, counts_what_the_kernel_has_dropped_at_a_tick_and_at_the_end) {
  auto rig = start();
  auto socket = rig->add(bound_socket());
  ASSERT_EQ(set_option(socket->fd.get(), 4, SocketOption::receive_buffer_bytes, 1), 0);
  Peer peer;
  auto send = [&] {
    for (int i = 0; i < 1000; i++) ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "x"));
  };
  send();
  EXPECT_EQ(get(*socket, Counter::rx_kernel_drops), 0u);
  rig->thread.tick(*socket);
  ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_kernel_drops) > 0; }));
  uint64_t at_tick = get(*socket, Counter::rx_kernel_drops);
  send();
  rig->thread.close(socket->id);
  EXPECT_EQ(get(*socket, Counter::rx_kernel_drops), at_tick + 1000);
  EXPECT_EQ(get(*socket, Counter::rx_close_drops), 1000 - at_tick);
}

TEST_P(IoThreadLoopback, sets_what_only_traffic_needs_with_the_second_batch) {
  auto rig = start();
  auto socket = rig->add(bound_socket());
  socket->gro = true;
  ASSERT_EQ(rig->thread.watch(*socket), 0);
  auto is_set = [&](SocketOption option) {
    int value = -1;
    EXPECT_EQ(get_option(socket->fd.get(), 4, option, &value), 0);
    return value == 1;
  };
  Peer peer;
  for (size_t batch : {1, 2}) {
    EXPECT_FALSE(is_set(SocketOption::gro) || is_set(SocketOption::report_kernel_drops)) << batch;
    ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "x"));
    ASSERT_TRUE(rig->read_records(batch));
  }
  EXPECT_TRUE(is_set(SocketOption::gro) && is_set(SocketOption::report_kernel_drops));
}

TEST_P(IoThreadLoopback, sets_what_only_traffic_needs_with_the_first_batch_of_several) {
  auto rig = start();
  auto socket = rig->add(bound_socket());
  socket->gro = true;
  Peer peer;
  for (int i = 0; i < 2; i++) ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "x"));
  ASSERT_EQ(rig->thread.watch(*socket), 0);
  ASSERT_TRUE(rig->read_records(2));
  int value = 0;
  EXPECT_EQ(get_option(socket->fd.get(), 4, SocketOption::gro, &value), 0);
  EXPECT_EQ(value, 1);
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
  ASSERT_EQ(open_datagram(4, &options.target), 0);
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
    socket->receive_buffer.leave();  // or a full batch raises the size again
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

}  // namespace
}  // namespace ksocket
