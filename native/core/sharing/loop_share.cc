#include "core/sharing/loop_share.h"

#include <sys/epoll.h>

#include <cerrno>

namespace ksocket {

int share_with_loop(int epoll_fd, int data_fd, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  event.data.fd = data_fd;
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void unshare(int epoll_fd, int fd) {
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace ksocket
