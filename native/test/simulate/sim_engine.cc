#include "simulate/sim_engine.h"

#include <cerrno>
#include <iterator>

namespace ksocket::simulate {

namespace {

// epoll_ctl(2), but for what says that the caller is wrong.
constexpr int kWatchErrors[] = {ENOMEM, ENOSPC, EPERM, EEXIST, EBADF, EINVAL, ELOOP, ENOENT};
constexpr int kWaitErrors[] = {EINTR, EBADF, EFAULT, EINVAL};

}  // namespace

int SimEngine::watch(int fd, uint64_t token, uint32_t interest) {
  world_.may_switch();
  if (kernel_.find(fd) == nullptr) {
    world_.fail("watches a descriptor that is closed");
    return -EBADF;
  }
  if (kernel_.engine_set().has(fd)) {
    world_.fail("watches a descriptor twice");
    return -EEXIST;
  }
  if (kernel_.errs()) {
    refusals++;
    world_.trace("watch(%d, %u) is refused", fd, interest);
    return -world_.decisions.one_of(kWatchErrors);
  }
  uint32_t mask = (interest & kReadable ? kIn : 0u) | (interest & kWritable ? kOut : 0u);
  bool none = mask == 0;
  world_.trace("watch(%d, %u), ready for %u", fd, interest, kernel_.ready(fd));
  kernel_.watch(kernel_.engine_set(), fd, {token, none ? uint32_t{kError} : mask, !none, none, false});
  return 0;
}

// As MmsgEngine: the old entry is gone, whatever becomes of the new one.
int SimEngine::change(int fd, uint64_t token, uint32_t interest) {
  unwatch(fd);
  return watch(fd, token, interest);
}

void SimEngine::unwatch(int fd) {
  world_.may_switch();
  world_.trace("unwatch(%d)", fd);
  kernel_.unwatch(kernel_.engine_set(), fd);
}

size_t SimEngine::collect(std::span<Event> events) {
  size_t count = 0;
  kernel_.engine_set().collect(
      events.size(), [&](int fd) { return kernel_.ready(fd); },
      [&](const PollSet::Found& found) {
        events[count++] = {found.data, (found.ready & (kIn | kError)) != 0, (found.ready & kOut) != 0};
      });
  return count;
}

// Readiness that is none (a checksum was wrong, somebody was faster), or is told twice.
size_t SimEngine::add_doubtful(std::span<Event> events, size_t count) {
  const auto& entries = kernel_.engine_set().entries();
  if (count == events.size() || entries.empty() || !kernel_.errs()) return count;
  if (count > 0 && world_.decisions.once_in(2)) {
    events[count] = events[world_.decisions.below(static_cast<uint32_t>(count))];
    return count + 1;
  }
  auto at = std::next(entries.begin(), world_.decisions.below(static_cast<uint32_t>(entries.size())));
  const PollSet::Entry& entry = at->second;
  if (entry.once || kernel_.find(at->first)->kind == Socket::Kind::timer) return count;
  events[count] = {entry.data, (entry.mask & kIn) != 0, (entry.mask & kOut) != 0};
  return count + 1;
}

int SimEngine::wait(std::span<Event> events, int timeout_ms) {
  world_.may_switch();
  if (kernel_.errs() && world_.decisions.once_in(2)) return -world_.decisions.one_of(kWaitErrors);
  uint64_t until_ns =
      timeout_ms < 0 ? UINT64_MAX : world_.now_ns() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
  for (;;) {
    size_t count = add_doubtful(events, collect(events));
    if (count > 0 || woken_ || timeout_ms == 0 || world_.now_ns() >= until_ns) {
      woken_ = false;
      world_.trace("wait(%d) = %zu, first %llx", timeout_ms, count,
                   static_cast<unsigned long long>(count > 0 ? events[0].token : 0));
      return static_cast<int>(count);
    }
    kernel_.engine_set().sleep([this] { world_.wake_io(); });
    world_.wait_io(until_ns);
    kernel_.engine_set().wake_up();
  }
}

void SimEngine::wake() {
  world_.may_switch();
  world_.trace("wake()");
  woken_ = true;
  world_.wake_io();
}

int SimEngine::receive(int fd, std::span<Message> messages) {
  world_.may_switch();
  int result = kernel_.receive(fd, messages);
  world_.trace("receive(%d, %zu) = %d", fd, messages.size(), result);
  return result;
}

int SimEngine::send(int fd, std::span<Message> messages) {
  world_.may_switch();
  int result = kernel_.send(fd, messages);
  world_.trace("send(%d, %zu) = %d", fd, messages.size(), result);
  return result;
}

}  // namespace ksocket::simulate
