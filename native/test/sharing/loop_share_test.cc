// An event loop and the I/O thread that receive from the same sockets: whoever the kernel wakes, each
// datagram comes once and in order.
#include "core/sharing/loop_share.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/socket/options.h"
#include "support/build.h"
#include "support/engines.h"
#include "support/io_rig.h"
#include "support/loopback.h"
#include "support/process.h"
#include "support/waiting.h"

namespace ksocket {
namespace {

using test::eventually;
using test::IoRig;
using test::name_of;
using test::Peer;

uint64_t get(const Endpoint& endpoint, Counter counter) {
  return endpoint.counters.get(counter);
}

// The event loop of a JavaScript thread, as far as sockets are concerned: an epoll instance with the waker in
// it, and a number that means "receive".
class EventLoop {
 public:
  explicit EventLoop(std::unique_ptr<Engine> engine, IoRig::Options options = {})
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), waker_(make_event()) {
    add_waker();
    options.on_wake = [this] { eventfd_write(waker_.get(), 1); };
    rig = std::make_unique<IoRig>(std::move(engine), std::move(options));
    rig->thread.share({epoll_.get(), [this] { return places_.emplace_back(make_event()).get(); },
                       [this] { asked_before_poll_ = true; }});
    EXPECT_EQ(rig->thread.start(), 0);
  }

  ~EventLoop() { rig.reset(); }  // its thread uses what is declared behind it

  std::shared_ptr<Endpoint> socket() {
    auto endpoint = rig->add(test::bound_socket());
    set_option(endpoint->fd.get(), 4, SocketOption::report_kernel_drops, 1);
    EXPECT_EQ(rig->thread.watch(*endpoint), 0);
    return endpoint;
  }

  // One turn: sleeps until something happens, at most so long. How many events there were.
  int turn(int timeout_ms) {
    epoll_event events[8];
    if (std::exchange(asked_before_poll_, false)) rig->thread.before_poll();
    int n = epoll_wait(epoll_.get(), events, 8, timeout_ms);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == waker_.get()) {
        eventfd_t count;
        eventfd_read(waker_.get(), &count);
        rig->drain();
        continue;
      }
      auto place = std::find_if(places_.begin(), places_.end(),
                                [&](const Fd& each) { return each.get() == events[i].data.fd; });
      if (place == places_.end()) continue;
      if (rig->thread.receive_on_loop(static_cast<uint32_t>(place - places_.begin()))) rig->drain();
    }
    return n;
  }
  // Is there something that the loop would be woken for?
  bool is_told() {
    epoll_event event;
    return epoll_wait(epoll_.get(), &event, 1, 0) > 0;
  }
  // Somebody else's entry for this descriptor, which means nothing to us.
  void watch_otherwise(int fd) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.fd = -1;
    EXPECT_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
  }
  // Sleeps until something happens, and does nothing about it.
  int sleep() {
    epoll_event event;
    return epoll_wait(epoll_.get(), &event, 1, 60'000);
  }
  [[nodiscard]] bool turn_until_records(size_t count) {
    return eventually([&] {
      turn(50);
      return rig->records.size() >= count;
    });
  }

  std::unique_ptr<IoRig> rig;

 private:
  static Fd make_event() { return Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
  void add_waker() {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = waker_.get();
    EXPECT_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, waker_.get(), &event), 0);
  }

  Fd epoll_, waker_;
  std::vector<Fd> places_;
  bool asked_before_poll_ = false;
};

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

// A real engine that neither looks at the kernel nor sends until it is allowed to: its thread is as good as
// busy.
class GatedEngine : public Engine {
 public:
  explicit GatedEngine(std::unique_ptr<Engine> real) : real_(std::move(real)) {}
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

  const char* name() const override { return real_->name(); }
  Traits traits() const override { return real_->traits(); }
  int watch(int fd, uint64_t token, uint32_t interest) override {
    std::lock_guard lock(mutex_);
    if (token != kFreshTimerToken && refusals_ > 0) {
      refusals_--;
      return -ENOSPC;
    }
    watched_.push_back(fd);
    return real_->watch(fd, token, interest);
  }
  void refuse(int times) {
    std::lock_guard lock(mutex_);
    refusals_ = times;
  }
  bool has_watched(int fd) {
    std::lock_guard lock(mutex_);
    return std::count(watched_.begin(), watched_.end(), fd) > 0;
  }
  int change(int fd, uint64_t token, uint32_t interest) override {
    return real_->change(fd, token, interest);
  }
  void unwatch(int fd) override { real_->unwatch(fd); }
  int wait(std::span<Event> events, int timeout_ms) override {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return open_; });
    }
    return real_->wait(events, timeout_ms);
  }
  void wake() override { real_->wake(); }
  int receive(int fd, std::span<Message> messages) override { return real_->receive(fd, messages); }
  int send(int fd, std::span<Message> messages) override {
    std::lock_guard lock(mutex_);
    return open_ ? real_->send(fd, messages) : -EAGAIN;
  }

 private:
  std::unique_ptr<Engine> real_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;         // guarded by mutex_
  std::vector<int> watched_;  // guarded by mutex_
  int refusals_ = 0;          // guarded by mutex_: so many sockets will not be watched
};

// Is this thread of ours asleep in the kernel?
bool sleeps(pid_t tid) {
  std::ifstream stat("/proc/self/task/" + std::to_string(tid) + "/stat");
  std::string line;
  std::getline(stat, line);
  size_t at = line.rfind(')');  // the name before it may hold anything
  return at != std::string::npos && line.size() > at + 2 && line[at + 2] == 'S';
}

// The kernel told the loop, and only the loop, of a datagram that then found the ring full. When the loop
// hands over to the thread nobody else knows of it.
TEST(LoopShare, hands_over_what_the_loop_was_told_of_and_has_not_read) {
  auto* gated = new GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {.slots = 8});
  auto flooded = loop.socket(), single = loop.socket();
  Address to_flooded = name_of(flooded->fd.get()), to_single = name_of(single->fd.get());
  Peer peer;
  pid_t tid = gettid();
  std::thread sender([&] {
    EXPECT_TRUE(eventually([&] { return sleeps(tid); }));
    EXPECT_TRUE(peer.send(to_single, "single"));
  });
  EXPECT_GT(loop.sleep(), 0);
  sender.join();

  // Each round the flood fills the ring, until that is reason enough to leave.
  size_t flood = 0;
  do {
    loop.rig->drain();
    for (int i = 0; i < 8; i++, flood++) ASSERT_TRUE(peer.send(to_flooded, "flood"));
    loop.rig->thread.receive_on_loop(flooded->loop_place);
    ASSERT_EQ(get(*flooded, Counter::rx_datagrams), flood);
    ASSERT_LT(flood, 1'000'000u) << "it never leaves";
  } while (loop.is_told());
  EXPECT_EQ(get(*single, Counter::rx_datagrams), 0u);
  gated->open();
  EXPECT_TRUE(eventually([&] {
    loop.rig->drain();
    return loop.rig->records.size() == flood + 1;
  }));
}

// A socket for one query: the thread never hears of it.
TEST(LoopShare, keeps_a_fresh_socket_to_the_loop) {
  auto* gated = new GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {});
  Peer peer;
  for (size_t i = 0; i < 5; i++) {
    auto socket = loop.socket();
    ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "answer"));
    EXPECT_GT(loop.turn(60'000), 0);
    EXPECT_EQ(loop.rig->records.size(), i + 1);
    EXPECT_FALSE(gated->has_watched(socket->fd.get()));
    loop.rig->thread.close(socket->id);
  }
  auto lasting = loop.socket();
  EXPECT_FALSE(gated->has_watched(lasting->fd.get()));
  gated->open();
  EXPECT_TRUE(eventually([&] { return gated->has_watched(lasting->fd.get()); }));
  // From now on the thread receives while the loop does not turn.
  ASSERT_TRUE(peer.send(name_of(lasting->fd.get()), "late"));
  EXPECT_TRUE(eventually([&] { return get(*lasting, Counter::rx_datagrams) == 1; }));
}

TEST(LoopShare, works_off_the_backlog_of_a_fresh_socket) {
  auto* gated = new GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {});
  Fd sink = test::bound_socket();
  auto socket = loop.socket();
  test::Staged staged;
  ASSERT_EQ(staged.add(name_of(sink.get()), "waits").send(loop.rig->thread, *socket), 1u);
  EXPECT_TRUE(gated->has_watched(socket->fd.get())) << "the thread has to learn when it is writable";
  gated->open();
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(socket->tx_mutex);
    return socket->backlog.empty();
  }));
  // It still receives, on both sides of the timer.
  Peer peer;
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "x"));
  EXPECT_TRUE(loop.turn_until_records(1));
}

// The user has heard 'listening' when the engine refuses to watch a fresh socket.
TEST(LoopShare, tells_of_a_refused_socket_once_and_tries_again) {
  auto* gated = new GatedEngine(test::make_engine("mmsg"));
  EventLoop loop(std::unique_ptr<Engine>(gated), {.slots = 8});
  gated->open();
  auto flooded = loop.socket();
  ASSERT_TRUE(eventually([&] { return gated->has_watched(flooded->fd.get()); }));
  Peer peer;
  for (int i = 0; i < 50; i++) ASSERT_TRUE(peer.send(name_of(flooded->fd.get()), "flood"));
  ASSERT_TRUE(eventually([&] { return get(*flooded, Counter::rx_pauses) > 0; }));
  // The ring is full.
  gated->refuse(3);
  auto socket = loop.socket();
  EXPECT_TRUE(eventually([&] { return get(*socket, Counter::rx_errors) == 1; }));
  EXPECT_TRUE(eventually([&] { return gated->has_watched(socket->fd.get()); }));
  ASSERT_TRUE(peer.send(name_of(socket->fd.get()), "late"));
  ASSERT_TRUE(loop.turn_until_records(52));
  size_t errors = 0, late = 0;
  for (const auto& record : loop.rig->records) {
    if (record.descriptor.socket_id != socket->id) continue;
    if (record.descriptor.kind == DescriptorKind::error) errors++;
    if (record.data == "late") late++;
  }
  EXPECT_EQ(errors, 1u);
  EXPECT_EQ(late, 1u);
  EXPECT_EQ(get(*socket, Counter::rx_errors), 1u);
}

// As libuv does with a descriptor of its own: the loop's instance has it already.
TEST(LoopShare, leaves_a_socket_to_the_thread_that_the_loop_cannot_share) {
  EventLoop loop(test::make_engine("mmsg"));
  auto other = loop.rig->add(test::bound_socket());
  loop.watch_otherwise(other->fd.get());
  ASSERT_EQ(loop.rig->thread.watch(*other), 0);
  EXPECT_FALSE(other->shared);
  auto socket = loop.socket();
  EXPECT_EQ(socket->loop_place, 0u);
  EXPECT_TRUE(socket->shared);
  Peer peer;
  ASSERT_TRUE(peer.send(name_of(other->fd.get()), "x"));
  EXPECT_TRUE(eventually([&] {
    loop.turn(1);
    return loop.rig->records.size() == 1;
  }));
  loop.rig->thread.close(other->id);
}

// ---- the policy

constexpr LoopPolicy::ThreadRound kQuietRound{
    .frames = 1, .full = false, .waited = true, .futile = false, .caught_up = true};

TEST(LoopPolicy, stays_in_the_loop_at_a_low_rate) {
  LoopPolicy policy;
  for (int i = 0; i < 100'000; i++) ASSERT_FALSE(policy.should_leave_after_loop_round(1, false, 10));
}

TEST(LoopPolicy, leaves_the_loop_when_many_come_one_by_one) {
  LoopPolicy policy;
  int rounds = 1;
  while (!policy.should_leave_after_loop_round(2, false, 200) && rounds < 10'000) rounds++;
  EXPECT_LT(rounds, 200);
}

TEST(LoopPolicy, leaves_a_loop_that_is_busy_while_many_come) {
  LoopPolicy policy;
  EXPECT_FALSE(policy.should_leave_after_thread_round(1000, 10));
  EXPECT_TRUE(policy.should_leave_after_thread_round(1000, 200));
}

TEST(LoopPolicy, returns_to_the_loop_when_the_rate_has_fallen) {
  LoopPolicy policy;
  EXPECT_FALSE(policy.should_return({.frames = 8, .waited = true}, 200));
  EXPECT_TRUE(policy.should_return(kQuietRound, 5));
  EXPECT_FALSE(policy.saturated());
}

// Full batches without any wait, read as fast as they come: the thread is but a detour.
TEST(LoopPolicy, returns_to_the_loop_in_saturation_and_stays_there) {
  LoopPolicy policy;
  int rounds = 1;
  while (!policy.should_return({.frames = 64, .full = true, .caught_up = true}, 500) && rounds < 1000)
    rounds++;
  EXPECT_LT(rounds, 50);
  EXPECT_TRUE(policy.saturated());
  for (int i = 0; i < 100'000; i++) ASSERT_FALSE(policy.should_leave_after_loop_round(64, true, 500));
  EXPECT_TRUE(policy.saturated());
}

TEST(LoopPolicy, returns_to_the_loop_when_the_ring_is_full_again_and_again) {
  LoopPolicy policy;
  int rings = 0;
  LoopPolicy::ThreadRound round{.frames = 64, .full = true};
  while (!policy.should_return(round, 500) && rings < 1000) {
    for (int i = 0; i < 100; i++)
      ASSERT_FALSE(policy.should_return(round, 500)) << "JavaScript may catch up yet";
    policy.on_full_ring();
    rings++;
  }
  EXPECT_GT(rings, 1);
  EXPECT_LT(rings, 50);
  EXPECT_TRUE(policy.saturated());
}

// One full ring is a burst, if the kernel has nothing left afterwards.
TEST(LoopPolicy, forgets_full_rings_when_the_thread_has_read_everything) {
  LoopPolicy policy;
  for (int burst = 0; burst < 100; burst++) {
    policy.on_full_ring();
    ASSERT_FALSE(policy.should_return({.frames = 64, .full = true}, 500));
    ASSERT_FALSE(policy.should_return({.frames = 30}, 500));
  }
}

TEST(LoopPolicy, is_saturated_no_more_when_the_loop_keeps_up) {
  LoopPolicy policy;
  for (int i = 0; i < 100 && !policy.saturated(); i++)
    policy.should_return({.frames = 64, .full = true, .caught_up = true}, 500);
  ASSERT_TRUE(policy.saturated());
  int rounds = 1;
  while (!policy.should_leave_after_loop_round(3, false, 200) && rounds < 1000) rounds++;
  EXPECT_LT(rounds, 100) << "the rate is high and the rounds are small: moderation pays";
  EXPECT_FALSE(policy.saturated());
}

// A fast ping-pong looks like a high rate, but hopping gathers nothing: each futile visit makes the next one
// later.
TEST(LoopPolicy, is_ever_more_patient_with_traffic_that_a_hop_does_not_help) {
  LoopPolicy policy;
  int before = 0;
  for (int visit = 0; visit < 6; visit++) {
    int rounds = 1;
    while (!policy.should_leave_after_loop_round(1, false, 100)) rounds++;
    EXPECT_GE(rounds, before) << visit;
    before = rounds;
    ASSERT_TRUE(policy.should_return({.frames = 1, .waited = true, .futile = true}, 100));
  }
  EXPECT_GT(before, 10'000);
}

}  // namespace
}  // namespace ksocket
