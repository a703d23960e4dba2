// The event loop of a JavaScript thread, as far as sockets are concerned: an epoll instance with the waker in
// it, and numbers that mean "receive".
#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/socket/options.h"
#include "support/io_rig.h"
#include "support/loopback.h"

namespace ksocket::test {

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
    auto endpoint = rig->add(bound_socket());
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
      bool read = rig->thread.receive_on_loop(static_cast<uint32_t>(place - places_.begin()));
      for (; read; read = rig->thread.look_again() == Look::found) rig->drain();
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

}  // namespace ksocket::test
