#include "core/socket/link_follower.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace ksocket {

int LinkFollower::start(int wait_ms) {
  if (running_) return 0;
  if (int error = open_link_events(&events_)) return error;
  stop_ = Fd(eventfd(0, EFD_CLOEXEC));
  if (!stop_) return -errno;
  wait_ms_ = wait_ms;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread_, nullptr, &LinkFollower::entry, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  running_ = error == 0;
  if (!running_) {
    events_.reset();
    stop_.reset();
  }
  return -error;
}

void LinkFollower::stop() {
  if (!std::exchange(running_, false)) return;
  uint64_t one = 1;
  [[maybe_unused]] ssize_t ignored = write(stop_.get(), &one, sizeof one);
  pthread_join(thread_, nullptr);
  events_.reset();
  stop_.reset();
}

void* LinkFollower::entry(void* self) {
  auto* follower = static_cast<LinkFollower*>(self);
  pthread_setname_np(pthread_self(), follower->name_);
  follower->run();
  return nullptr;
}

void LinkFollower::run() {
  pollfd watched[2] = {{events_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  int wait_ms = wait_ms_;
  while (true) {
    int ready = poll(watched, 2, wait_ms);
    if (ready > 0 && watched[1].revents != 0) return;
    if (ready > 0) {
      LinksGone gone = take_link_events(events_.get());
      wait_ms = changed_(&gone);
    } else {
      wait_ms = changed_(nullptr);
    }
  }
}

}  // namespace ksocket
