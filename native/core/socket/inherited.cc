#include "core/socket/inherited.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "core/socket/address.h"

namespace ksocket {

namespace {

// 0 of what is no socket: no domain has this number, no type and no protocol of ours.
int asked(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0 ? 0 : value;
}

const char* type_of(int fd) {
  int domain = asked(fd, SO_DOMAIN), type = asked(fd, SO_TYPE), protocol = asked(fd, SO_PROTOCOL);
  if (domain == AF_UNIX) {
    return type == SOCK_DGRAM ? "unix_dgram" : type == SOCK_STREAM ? "unix_stream" : "unix_seqpacket";
  }
  if (domain != AF_INET && domain != AF_INET6) return "other";
  if (type == SOCK_DGRAM && protocol == IPPROTO_UDP) return domain == AF_INET ? "udp4" : "udp6";
  if (type == SOCK_STREAM && protocol == IPPROTO_TCP) return domain == AF_INET ? "tcp4" : "tcp6";
  return "other";
}

// The kernel counts the zero behind a path, if there is room for one, and none behind an abstract name.
std::string path_of(const sockaddr_un& name, socklen_t length) {
  constexpr size_t kBefore = offsetof(sockaddr_un, sun_path);
  if (length <= kBefore) return "";
  size_t bytes = std::min<size_t>(length - kBefore, sizeof name.sun_path);
  if (name.sun_path[0] != '\0') bytes = strnlen(name.sun_path, bytes);
  return std::string(name.sun_path, bytes);
}

void read_name(int fd, InheritedSocket* out) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  auto* any = reinterpret_cast<sockaddr*>(&name);
  if (getsockname(fd, any, &length) < 0) return;
  if (name.ss_family == AF_UNIX) {
    out->name = path_of(reinterpret_cast<const sockaddr_un&>(name), length);
  } else if (name.ss_family == AF_INET || name.ss_family == AF_INET6) {
    Address address = from_sockaddr(any);
    out->name = format_address(address);
    out->port = address.port;
  }
}

}  // namespace

int claim_inherited(int fd, InheritedSocket* out) {
  int flags = fcntl(fd, F_GETFD);
  if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0) return -errno;
  *out = {};
  out->type = type_of(fd);
  read_name(fd, out);
  return 0;
}

}  // namespace ksocket
