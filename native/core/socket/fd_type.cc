#include "core/socket/fd_type.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ksocket {

namespace {

int domain_of(int fd) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) < 0 ? AF_UNSPEC : name.ss_family;
}

}  // namespace

int fd_family(int fd) {
  int domain = domain_of(fd);
  return domain == AF_INET ? 4 : domain == AF_INET6 ? 6 : 0;
}

const char* fd_type(int fd) {
  struct stat status;
  if (fd < 0) return "INVALID";
  if (isatty(fd)) return "TTY";
  if (fstat(fd, &status) < 0) return "UNKNOWN";
  if (S_ISREG(status.st_mode) || S_ISCHR(status.st_mode)) return "FILE";
  if (S_ISFIFO(status.st_mode)) return "PIPE";
  if (!S_ISSOCK(status.st_mode)) return "UNKNOWN";

  int type = 0;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return "UNKNOWN";
  if (domain_of(fd) == AF_UNIX && type == SOCK_STREAM) return "PIPE";
  if (fd_family(fd) == 0) return "UNKNOWN";
  return type == SOCK_DGRAM ? "UDP" : type == SOCK_STREAM ? "TCP" : "UNKNOWN";
}

}  // namespace ksocket
