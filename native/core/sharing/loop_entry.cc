#include "core/sharing/loop_entry.h"

#include <sys/epoll.h>

#include <cerrno>

namespace ksocket {

int enter_loop(const LoopPoll& loop, int data_fd, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  event.data.fd = data_fd;
  return epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void leave_loop(const LoopPoll& loop, int fd) {
  epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace ksocket
