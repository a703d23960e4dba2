#include "core/socket/options.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/base/kernel_names.h"
#include "core/base/or_errno.h"
#include "core/control/kinds.h"

namespace ksocket {

namespace {

struct Row {
  int level_v4, name_v4, level_v6, name_v6;
};

constexpr Row kRows[] = {
#define X(name, level_v4, name_v4, level_v6, name_v6) {level_v4, name_v4, level_v6, name_v6},
    KSOCKET_OPTIONS(X)
#undef X
};

struct Place {
  int level, name;
};
Place place_of(uint8_t family, SocketOption option) {
  const Row& row = kRows[static_cast<uint32_t>(option)];
  return family == 6 ? Place{row.level_v6, row.name_v6} : Place{row.level_v4, row.name_v4};
}

int set_at(int fd, Place place, int value) {
  return or_errno(setsockopt(fd, place.level, place.name, &value, sizeof value));
}

// Does it ask for a control message that the families have in a place each? A dual-stack socket gives IPv4
// datagrams IPv4's (udpv6_recvmsg calls ip_cmsg_recv), and only if IPv4's option is set on it.
constexpr bool asks_each_family(SocketOption option) {
  bool out = option == SocketOption::receive_errors;  // the same way, into the queue of errors
#define X(name, type, level_v4, type_v4, Form_v4, level_v6, type_v6, Form_v6, asked_with) \
  if (level_v4 != level_v6 || type_v4 != type_v6) out |= option == SocketOption::asked_with;
  KSOCKET_RECEIVED_KINDS(X)
#undef X
  return out;
}

}  // namespace

int set_option(int fd, uint8_t family, SocketOption option, int value) {
  if (option >= SocketOption::kCount) return -EINVAL;
  Place place = place_of(family, option);
  if (place.level < 0) return -ENOPROTOOPT;
  int error = set_at(fd, place, value);
  // Where the kernel refuses that, it is only IPv4's messages that are missing.
  if (error == 0 && family == 6 && asks_each_family(option)) set_at(fd, place_of(4, option), value);
  return error;
}

int get_option(int fd, uint8_t family, SocketOption option, int* value) {
  if (option >= SocketOption::kCount) return -EINVAL;
  Place place = place_of(family, option);
  if (place.level < 0) return -ENOPROTOOPT;
  socklen_t length = sizeof *value;
  return or_errno(getsockopt(fd, place.level, place.name, value, &length));
}

}  // namespace ksocket
