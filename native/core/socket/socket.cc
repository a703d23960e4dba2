#include "core/socket/socket.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "core/base/or_errno.h"
#include "core/socket/filter.h"
#include "core/socket/socket_name.h"

namespace ksocket {

int open_datagram(uint8_t family, Fd* out) {
  Fd fd(socket(to_af(family), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  *out = std::move(fd);
  return 0;
}

int bind_socket(int fd, const Address& address) {
  SocketName name = to_name(address);
  return or_errno(bind(fd, &name.any, name.length));
}

int connect_socket(int fd, const Address& address) {
  SocketName name = to_name(address);
  int result;
  do {
    result = or_errno(connect(fd, &name.any, name.length));
  } while (result == -EINTR);
  return result;
}

int disconnect_socket(int fd) {
  sockaddr none{};
  none.sa_family = AF_UNSPEC;  // connect(2): dissolves the association
  return or_errno(connect(fd, &none, sizeof none));
}

void drop_errors(int fd) {
  uint8_t byte;
  for (int i = 0; i < 1024 && recv(fd, &byte, sizeof byte, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0; i++) {
  }
}

int stop_arrivals(int fd) {
  const sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  return attach_filter(fd, drop_all);
}

int socket_name(int fd, bool peer, Address* out) {
  SocketName name;
  name.length = sizeof name.local;
  int result = peer ? getpeername(fd, &name.any, &name.length) : getsockname(fd, &name.any, &name.length);
  if (result < 0) return -errno;
  *out = from_name(from_af(name.any.sa_family), &name.any, name.length);
  return 0;
}

}  // namespace ksocket
