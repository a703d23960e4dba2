#include "core/socket/fd_type.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/socket/family.h"

namespace ksocket {

namespace {

int domain_of(int fd) {
  int domain = 0;
  socklen_t length = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 ? AF_UNSPEC : domain;
}

int type_of(int fd) {
  int type = 0;
  socklen_t length = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ? 0 : type;
}

}  // namespace

int fd_family(int fd) {
  uint8_t family = from_af(domain_of(fd));
  return family == kLocal && type_of(fd) != SOCK_DGRAM ? 0 : family;
}

const char* fd_type(int fd) {
  struct stat status;
  if (fd < 0) return "INVALID";
  if (isatty(fd)) return "TTY";
  if (fstat(fd, &status) < 0) return "UNKNOWN";
  if (S_ISREG(status.st_mode) || S_ISCHR(status.st_mode)) return "FILE";
  if (S_ISFIFO(status.st_mode)) return "PIPE";
  if (!S_ISSOCK(status.st_mode)) return "UNKNOWN";

  int domain = domain_of(fd), type = type_of(fd);
  if (domain == AF_UNIX) return type == SOCK_STREAM ? "PIPE" : "UNKNOWN";
  if (from_af(domain) == 0) return "UNKNOWN";
  return type == SOCK_DGRAM ? "UDP" : type == SOCK_STREAM ? "TCP" : "UNKNOWN";
}

}  // namespace ksocket
