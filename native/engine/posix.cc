#include "engine/posix.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ksocket {

namespace {

// `call(header)` returns the length or fails with errno. How many did not fail, or -errno of the first.
template <typename Call>
int each_until_one_fails(std::span<Message> messages, Call&& call) {
  int done = 0;
  for (Message& message : messages) {
    ssize_t n = call(&message.header);
    if (n < 0) return done > 0 ? done : -errno;
    message.length = static_cast<unsigned>(n);
    done++;
  }
  return done;
}

}  // namespace

int PosixEngine::init() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
  wake_read_ = Fd(ends[0]);
  wake_write_ = Fd(ends[1]);
  return wait({}, 0);
}

int PosixEngine::watch(int fd, uint64_t token, uint32_t interest) {
  {
    std::lock_guard lock(mutex_);
    watched_.push_back({fd, token, interest});
    changed_ = true;
  }
  wake();  // poll() does not notice a new descriptor by itself
  return 0;
}

int PosixEngine::change(int fd, uint64_t token, uint32_t interest) {
  {
    std::lock_guard lock(mutex_);
    auto at = std::find_if(watched_.begin(), watched_.end(), [&](const Watched& w) { return w.fd == fd; });
    if (at == watched_.end()) return -ENOENT;
    *at = {fd, token, interest};
    changed_ = true;
  }
  wake();
  return 0;
}

// The kernel keeps a descriptor's socket alive, and its port taken, while poll() waits on it: close() after
// this has to find it free, so the waiting thread is made to let go first.
void PosixEngine::unwatch(int fd) {
  std::unique_lock lock(mutex_);
  auto at = std::find_if(watched_.begin(), watched_.end(), [&](const Watched& w) { return w.fd == fd; });
  if (at == watched_.end()) return;
  *at = watched_.back();
  watched_.pop_back();
  changed_ = true;
  if (!polling_) return;
  uint64_t round = rounds_;
  wake();
  left_poll_.wait(lock, [&] { return rounds_ != round; });
}

int PosixEngine::wait(std::span<Event> events, int timeout_ms) {
  {
    std::lock_guard lock(mutex_);
    polling_ = true;
    if (changed_) {
      changed_ = false;
      polled_ = watched_;
      polls_.assign(1, {wake_read_.get(), POLLIN, 0});
      for (const Watched& w : polled_) {
        short wanted = static_cast<short>((w.interest & kReadable ? POLLIN : 0) |
                                          (w.interest & kWritable ? POLLOUT : 0));
        polls_.push_back({w.interest == kNothing ? -1 : w.fd, wanted, 0});
      }
    }
  }
  int n = poll(polls_.data(), polls_.size(), timeout_ms);
  int error = errno;
  {
    std::lock_guard lock(mutex_);
    polling_ = false;
    rounds_++;
  }
  left_poll_.notify_all();
  if (n < 0) return -error;
  if (polls_[0].revents != 0) {
    char bytes[64];
    while (read(wake_read_.get(), bytes, sizeof bytes) == sizeof bytes) {
    }
    n--;
  }
  size_t out = 0;
  size_t count = polled_.size();
  for (size_t step = 0; step < count && n > 0 && out < events.size(); step++) {
    size_t i = (next_ + step) % count;
    short got = polls_[i + 1].revents;
    if (got == 0) continue;
    n--;
    events[out++] = {polled_[i].token, (got & (POLLIN | POLLERR | POLLHUP)) != 0, (got & POLLOUT) != 0};
    if (out == events.size()) next_ = (i + 1) % count;
  }
  return static_cast<int>(out);
}

void PosixEngine::wake() {
  char one = 1;
  [[maybe_unused]] ssize_t ignored = write(wake_write_.get(), &one, 1);
}

int PosixEngine::receive(int fd, std::span<Message> messages) {
  return each_until_one_fails(messages,
                              [fd](msghdr* header) { return recvmsg(fd, header, MSG_CMSG_CLOEXEC); });
}

int PosixEngine::send(int fd, std::span<Message> messages) {
  return each_until_one_fails(messages, [fd](msghdr* header) { return sendmsg(fd, header, MSG_NOSIGNAL); });
}

}  // namespace ksocket
