#include "core/socket/filter.h"

#include <sys/socket.h>

#include <cerrno>

#include "core/base/or_errno.h"

namespace ksocket {

int attach_filter(int fd, std::span<const sock_filter> program) {
  if (program.empty()) return 0;
  if (program.size() > BPF_MAXINSNS) return -EINVAL;
  // The kernel copies it.
  sock_fprog request{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
  return or_errno(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &request, sizeof request));
}

int detach_filter(int fd) {
  int ignored = 0;
  int error = or_errno(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof ignored));
  return error == -ENOENT ? 0 : error;
}

int lock_filter(int fd) {
  int on = 1;
  return or_errno(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on));
}

}  // namespace ksocket
