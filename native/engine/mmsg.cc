#include "engine/mmsg.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "core/base/kernel_names.h"
#include "core/base/or_errno.h"

namespace ksocket {

static_assert(sizeof(Message) == sizeof(mmsghdr) && offsetof(Message, length) == offsetof(mmsghdr, msg_len));

namespace {

constexpr uint64_t kWakeToken = UINT64_MAX;
constexpr size_t kEventsMax = 64;

// As many packets at once as a network card's driver hands over by itself: more needs CAP_NET_ADMIN.
constexpr uint16_t kBusyPollBudget = 64;

mmsghdr* as_mmsghdr(std::span<Message> messages) {
  return reinterpret_cast<mmsghdr*>(messages.data());
}

// A payload and perhaps an address: then the kernel need not copy and check a msghdr.
bool is_bare(const msghdr& header) {
  return header.msg_iovlen == 1 && header.msg_controllen == 0;
}

int send_bare(int fd, Message& message) {
  const msghdr& header = message.header;
  ssize_t sent = sendto(fd, header.msg_iov->iov_base, header.msg_iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL,
                        static_cast<const sockaddr*>(header.msg_name), header.msg_namelen);
  if (sent < 0) return -errno;
  message.length = static_cast<unsigned>(sent);
  return 1;
}

}  // namespace

int MmsgEngine::init() {
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return -errno;
  event_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_) return -errno;
  if (int error = control(EPOLL_CTL_ADD, event_.get(), kWakeToken, kReadable)) return error;
  Event none;
  return wait({&none, 1}, 0);
}

int MmsgEngine::busy_poll(uint32_t usecs) {
  EpollParams params{usecs, kBusyPollBudget, 1, 0};
  return or_errno(ioctl(epoll_.get(), kSetEpollParams, &params));
}

int MmsgEngine::control(int operation, int fd, uint64_t token, uint32_t interest) {
  epoll_event event{};
  event.events =
      (interest & kReadable ? EPOLLIN : 0u) | (interest & kWritable ? EPOLLOUT : 0u) | EPOLLEXCLUSIVE;
  // EPOLLERR comes unasked, and would again and again while nobody reads the error: once is enough.
  if (interest == kNothing) event.events = EPOLLONESHOT;
  event.data.u64 = token;
  return or_errno(epoll_ctl(epoll_.get(), operation, fd, &event));
}

int MmsgEngine::watch(int fd, uint64_t token, uint32_t interest) {
  return control(EPOLL_CTL_ADD, fd, token, interest);
}

int MmsgEngine::change(int fd, uint64_t token, uint32_t interest) {
  // An exclusive entry cannot be modified; the new one is checked for readiness as it is added.
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  return control(EPOLL_CTL_ADD, fd, token, interest);
}

void MmsgEngine::unwatch(int fd) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

int MmsgEngine::wait(std::span<Event> events, int timeout_ms) {
  epoll_event ready[kEventsMax];
  int max = static_cast<int>(std::min(events.size(), kEventsMax));
  int n = epoll_wait(epoll_.get(), ready, max, timeout_ms);
  if (n < 0) return -errno;
  int out = 0;
  for (int i = 0; i < n; i++) {
    if (ready[i].data.u64 == kWakeToken) {
      uint64_t count;
      [[maybe_unused]] ssize_t ignored = read(event_.get(), &count, sizeof count);
      continue;
    }
    // EPOLLERR and EPOLLHUP come unasked; a paused socket (interest 0) must not be read because of them.
    events[out++] = {ready[i].data.u64, (ready[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0,
                     (ready[i].events & EPOLLOUT) != 0};
  }
  return out;
}

void MmsgEngine::wake() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t ignored = write(event_.get(), &one, sizeof one);
}

int MmsgEngine::receive(int fd, std::span<Message> messages) {
  return or_errno(recvmmsg(fd, as_mmsghdr(messages), static_cast<unsigned>(messages.size()),
                           MSG_DONTWAIT | MSG_CMSG_CLOEXEC, nullptr));
}

int MmsgEngine::send(int fd, std::span<Message> messages) {
  if (messages.size() == 1 && is_bare(messages[0].header)) return send_bare(fd, messages[0]);
  return or_errno(sendmmsg(fd, as_mmsghdr(messages), static_cast<unsigned>(messages.size()),
                           MSG_DONTWAIT | MSG_NOSIGNAL));
}

}  // namespace ksocket
