// LoopSharing with a test for the event loop and the I/O thread at once, on real sockets.
#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "core/sharing/loop_sharing.h"
#include "support/engines.h"
#include "support/loopback.h"
#include "support/process.h"
#include "support/ring_memory.h"
#include "support/ring_reader.h"
#include "support/waiting.h"

namespace ksocket::test {

class SharingRig {
 public:
  static constexpr uint32_t kSlots = 1024;

  SharingRig() {
    sharing.start({epoll_.get(), [this] { return places_.emplace_back(make_event()).get(); },
                   [this] { asked_before_poll = true; }});
  }
  ~SharingRig() { sharing.stop(); }

  // A bound socket as watch() of an I/O thread adds it. Its id is its number.
  std::shared_ptr<Endpoint> add() {
    auto endpoint = make();
    if (!sharing.add(endpoint)) watches.set(*endpoint, kReadable, kNothing);
    return endpoint;
  }
  std::shared_ptr<Endpoint> make() {
    uint32_t id = static_cast<uint32_t>(rows_.size() + 1);
    return std::make_shared<Endpoint>(id, uint8_t{4}, bound_socket(), rows_.emplace_back());
  }
  void send(const Endpoint& to, int count = 1) {
    for (int i = 0; i < count; i++) ASSERT_TRUE(peer_.send(name_of(to.fd.get()), "x"));
  }
  // While the loop waits: the kernel wakes it, and tells nobody else.
  void send_to_a_loop_asleep(const Endpoint& to) {
    std::atomic<pid_t> tid{0};
    std::thread loop([&] {
      tid = gettid();
      epoll_event event;
      EXPECT_EQ(epoll_wait(epoll_.get(), &event, 1, 60'000), 1);
    });
    EXPECT_TRUE(eventually([&] { return tid != 0 && sleeps(tid); }));
    send(to);
    loop.join();
  }
  // The loop's turn of this socket, with JavaScript's.
  bool receive_on_loop(const Endpoint& endpoint) {
    bool read = sharing.receive_on_loop(endpoint.sharing.place);
    if (read) drain();
    return read;
  }
  // Its second look.
  Look look_now() {
    Look look = sharing.look_now();
    if (look == Look::found) drain();
    return look;
  }
  void drain() {
    reader.drain([&](const Descriptor&, std::span<const uint8_t>) { records++; });
  }
  // The loop is busy while many come: the thread takes over.
  void let_the_thread_own(Endpoint& endpoint) {
    ASSERT_TRUE(eventually([&] {  // on a busy machine not every such burst is one
      send(endpoint, 200);
      for (int i = 0; i < 3; i++) receive_on_thread(endpoint);
      return !sharing.loop_owns();
    }));
  }
  // Little comes: the loop gets its sockets back.
  void let_the_loop_own(Endpoint& endpoint) {
    ASSERT_TRUE(eventually([&] {
      send(endpoint);
      receive_on_thread(endpoint);
      return sharing.loop_owns();
    }));
  }
  void receive_on_thread(Endpoint& endpoint, bool caught_up = false) {
    LoopSharing::ThreadLock lock(sharing);
    std::lock_guard rx_lock(endpoint.rx_mutex);
    turn.receive(endpoint);
    ring.publish();
    sharing.after_round(caught_up);
    drain();
  }
  // The time of the fresh sockets is over: the engine watches them, too.
  void watch_fresh() {
    Event events[64];
    auto timer_tells = [&] {
      int n = engine->wait(events, 0);
      return std::any_of(events, events + n,
                         [](const Event& event) { return event.token == kFreshTimerToken; });
    };
    ASSERT_TRUE(eventually(timer_tells));
    Event timer{.token = kFreshTimerToken, .readable = true, .writable = false};
    EXPECT_EQ(sharing.take_timer(std::span(&timer, 1)), 0u);
  }
  // Somebody else's entry for this descriptor in the loop's instance.
  void watch_otherwise(int fd) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.fd = -1;
    ASSERT_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
  }
  uint64_t loop_rounds() { return counters_[Counter::loop_rounds]; }
  uint64_t moderations() { return counters_[Counter::moderations]; }
  bool tells_loop(const Endpoint& endpoint) {
    epoll_event events[64];
    int n = epoll_wait(epoll_.get(), events, 64, 0);
    return std::any_of(events, events + n, [&](const epoll_event& event) {
      return event.data.fd == places_[endpoint.sharing.place].get();
    });
  }
  bool tells_thread(const Endpoint& endpoint) {
    Event events[64];
    int n = engine->wait(events, 0);
    return std::any_of(events, events + n, [&](const Event& event) { return event.token == endpoint.id; });
  }

  std::unique_ptr<Engine> engine = make_engine("mmsg");
  std::vector<std::pair<uint32_t, int>> refused;  // id and error
  std::vector<uint32_t> postponed;                // ids
  std::vector<uint32_t> worked_off;               // ids
  std::atomic<bool> interrupted{false};
  std::function<void()> on_look;  // runs before the thread looks whether it is interrupted
  bool asked_before_poll = false;
  size_t records = 0;

 private:
  static Fd make_event() { return Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

  Fd epoll_{epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Fd> places_;
  std::deque<CounterRow> rows_;
  Peer peer_;
  RingBuffers buffers_{kSlots, 8 << 20};
  CounterRow counters_;
  PeerTable peers_{64, 1};
  TxFlush flush_;

 public:
  RingReader reader{buffers_.memory()};
  RxRing ring{buffers_.memory()};
  RxTurn turn{*engine, ring, peers_, flush_, counters_};
  Watches watches{*engine};
  LoopSharing sharing{{*engine, watches, turn, ring, counters_},
                      {.usecs_max = 100},
                      {[this](Endpoint& endpoint, int error) { refused.emplace_back(endpoint.id, error); },
                       [this](Endpoint& endpoint, uint32_t) { postponed.push_back(endpoint.id); },
                       [this](Endpoint& endpoint) { worked_off.push_back(endpoint.id); },
                       [this] {
                         if (on_look) on_look();
                         return interrupted.load();
                       }}};
};

}  // namespace ksocket::test
