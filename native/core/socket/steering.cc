#include "core/socket/steering.h"

#include <sys/socket.h>

#include <cerrno>

#include "core/base/fd.h"
#include "core/base/or_errno.h"

namespace ksocket {

int attach_steering(int fd, std::span<const sock_filter> program) {
  if (program.empty() || program.size() > BPF_MAXINSNS) return -EINVAL;
  // The kernel copies it.
  sock_fprog request{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
  return or_errno(setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &request, sizeof request));
}

int probe_steering() {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) return -errno;
  const sock_filter first[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  return attach_steering(fd.get(), first);
}

}  // namespace ksocket
