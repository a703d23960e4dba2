#include "core/loop_share.h"

#include <sys/epoll.h>

#include <cerrno>

namespace ksocket {

int share_with_loop(const LoopPoll& loop, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  event.data.fd = loop.data_fd;
  return epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void unshare(const LoopPoll& loop, int fd) {
  epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace ksocket
