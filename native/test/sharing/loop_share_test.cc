// An event loop and the I/O thread that receive from the same sockets: whoever the kernel wakes, each
// datagram comes once and in order.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/build.h"
#include "support/engines.h"
#include "support/event_loop.h"
#include "support/loopback.h"
#include "support/process.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::EventLoop;
using test::eventually;
using test::get;
using test::name_of;
using test::Peer;

class LoopShareOn : public test::OnEachEngine {};

INSTANTIATE_TEST_SUITE_P(, LoopShareOn, test::both_engines(), test::engine_name);

TEST_P(LoopShareOn, delivers_to_a_loop_that_sleeps) {
  EventLoop loop(make_engine());
  auto socket = loop.socket();
  Address to = name_of(socket->fd.get());
  std::atomic<bool> over{false};
  std::atomic<size_t> wanted{0};
  std::thread sender([&] {
    Peer peer;
    for (size_t sent = 0; !over;) {
      if (sent < wanted && peer.send(to, std::to_string(sent))) sent++;
      std::this_thread::yield();
    }
  });
  for (size_t i = 0; i < 500; i++) {
    wanted = i + 1;
    ASSERT_TRUE(loop.turn_until_records(i + 1));
    ASSERT_EQ(loop.rig->records[i].data, std::to_string(i));
  }
  over = true;
  sender.join();
  // Where the engine takes part, some of five hundred will have found the loop asleep.
  EXPECT_EQ(loop.rig->thread_counters[Counter::loop_rounds] > 0,
            loop.rig->thread.engine().traits().exclusive);
}

TEST_P(LoopShareOn, receives_in_the_thread_while_the_loop_is_stuck) {
  EventLoop loop(make_engine());
  auto socket = loop.socket();
  Peer peer;
  for (int round = 0; round < 5; round++) {
    for (uint64_t i = 0; i < 50; i++) ASSERT_TRUE(peer.send(name_of(socket->fd.get()), std::to_string(i)));
    // The loop does not turn.
    ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_datagrams) == (round + 1) * 50u; }));
    ASSERT_TRUE(loop.turn_until_records((round + 1) * 50u));
  }
  for (size_t i = 0; i < 250; i++) EXPECT_EQ(loop.rig->records[i].data, std::to_string(i % 50));
}

// Light and heavy traffic, a loop that is now asleep, now busy: modes change all the time, and nothing is
// lost, doubled or out of order.
TEST_P(LoopShareOn, loses_nothing_whoever_receives) {
  EventLoop loop(make_engine(), {.slots = 256, .thread = {.moderation = {.usecs_max = 50}}});
  auto socket = loop.socket();
  Address to = name_of(socket->fd.get());
  constexpr size_t kTotal = test::kThreadSanitizer ? 20'000 : 60'000, kWindow = 60;
  std::atomic<size_t> seen{0};
  std::atomic<bool> over{false};
  std::thread sender([&] {
    Peer peer;
    std::mt19937 random(1);
    for (size_t sent = 0; sent < kTotal && !over;) {
      if (sent - seen >= kWindow) {  // never more on the way than a receive buffer holds
        std::this_thread::yield();
        continue;
      }
      if (peer.send(to, std::to_string(sent))) sent++;
      if (sent / 2000 % 2 == 0 && random() % 8 == 0)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  std::mt19937 random(2);
  bool done = eventually([&] {
    // A turn, then work of some length. Not as a way to wait for anything: the lengths are what is tested.
    loop.turn(20);
    seen = loop.rig->records.size();
    if (random() % 64 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    return seen >= kTotal;
  });
  over = true;
  sender.join();
  ASSERT_TRUE(done) << seen << " of " << kTotal << ", kernel drops "
                    << get(*socket, Counter::rx_kernel_drops);
  for (size_t i = 0; i < kTotal; i++) ASSERT_EQ(loop.rig->records[i].data, std::to_string(i));
  EXPECT_EQ(get(*socket, Counter::rx_datagrams), kTotal);
}

TEST_P(LoopShareOn, serves_more_sockets_than_can_be_shared) {
  EventLoop loop(make_engine());
  std::vector<std::shared_ptr<Endpoint>> sockets;
  for (int i = 0; i < 70; i++) sockets.push_back(loop.socket());
  Peer peer;
  for (size_t round = 1; round <= 20; round++) {
    for (const auto& socket : sockets) {
      ASSERT_TRUE(peer.send(name_of(socket->fd.get()), std::to_string(socket->id)));
    }
    ASSERT_TRUE(loop.turn_until_records(round * sockets.size()));
  }
  for (const auto& record : loop.rig->records)
    EXPECT_EQ(record.data, std::to_string(record.descriptor.socket_id));
}

TEST_P(LoopShareOn, hears_of_new_sockets_though_the_loop_is_stuck) {
  EventLoop loop(make_engine());
  std::vector<std::shared_ptr<Endpoint>> sockets;
  for (int i = 0; i < 200; i++) sockets.push_back(loop.socket());
  // In no order that they were made in.
  for (size_t i = 0; i < 100; i++) loop.rig->thread.close(sockets[i * 2]->id);
  Peer peer;
  for (size_t i = 1; i < 200; i += 2) ASSERT_TRUE(peer.send(name_of(sockets[i]->fd.get()), "x"));
  // The loop does not turn.
  EXPECT_TRUE(eventually([&] {
    for (size_t i = 1; i < 200; i += 2) {
      if (get(*sockets[i], Counter::rx_datagrams) != 1) return false;
    }
    return true;
  }));
}

TEST_P(LoopShareOn, pauses_and_resumes_on_a_full_ring) {
  EventLoop loop(make_engine(), {.slots = 8});
  auto socket = loop.socket();
  Peer peer;
  size_t sent = 0;
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 50; i++) ASSERT_TRUE(peer.send(name_of(socket->fd.get()), std::to_string(sent++)));
    if (round % 2 == 0) {
      ASSERT_TRUE(eventually([&] { return get(*socket, Counter::rx_pauses) > 0; }));
    }
    ASSERT_TRUE(loop.turn_until_records(sent));
  }
  for (size_t i = 0; i < sent; i++) ASSERT_EQ(loop.rig->records[i].data, std::to_string(i));
  EXPECT_EQ(get(*socket, Counter::rx_ring_drops) + get(*socket, Counter::rx_kernel_drops), 0u);
}

TEST_P(LoopShareOn, leaves_the_loop_alone_once_a_socket_is_closed_or_the_thread_stopped) {
  size_t threads = test::threads_at_rest(), descriptors = test::open_descriptors();
  {
    EventLoop loop(make_engine());
    auto one = loop.socket(), two = loop.socket();
    Address to_one = name_of(one->fd.get()), to_two = name_of(two->fd.get());
    Peer peer;
    ASSERT_TRUE(peer.send(to_one, "x"));
    ASSERT_TRUE(loop.turn_until_records(1));
    loop.rig->thread.close(one->id);
    peer.send(to_one, "nobody");
    ASSERT_TRUE(peer.send(to_two, "y"));
    ASSERT_TRUE(loop.turn_until_records(2));
    EXPECT_EQ(loop.rig->records[1].data, "y");

    ASSERT_TRUE(peer.send(to_two, "unread"));
    loop.rig->thread.stop();
    loop.turn(0);  // a wake-up may still be on its way
    EXPECT_EQ(loop.turn(10), 0) << "the loop still watches a socket that is not its own any more";
  }
  EXPECT_TRUE(eventually([&] { return test::threads() == threads; }));
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

TEST_P(LoopShareOn, closes_and_opens_sockets_while_they_are_flooded) {
  EventLoop loop(make_engine(), {.slots = 256});
  for (int round = 0; round < 20; round++) {
    auto socket = loop.socket();
    Address to = name_of(socket->fd.get());
    std::atomic<bool> over{false};
    std::thread flood([&] {
      Peer peer;
      while (!over) {
        peer.send(to, "flood");
        if (test::kThreadSanitizer) std::this_thread::yield();
      }
    });
    EXPECT_TRUE(eventually([&] {
      loop.turn(1);
      return get(*socket, Counter::rx_datagrams) > 300;
    }));
    loop.rig->thread.close(socket->id);
    EXPECT_FALSE(socket->fd);
    over = true;
    flood.join();
    loop.rig->drain();
    loop.rig->records.clear();
  }
}

}  // namespace
}  // namespace ksocket
