#include "core/socket/options.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/base/kernel_names.h"
#include "core/base/or_errno.h"
#include "core/control/kinds.h"
#include "core/socket/send_times.h"
#include "core/socket/socket.h"

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
#define X(name, level, number) \
  if (family == kLocal && option == SocketOption::name) return {level, number};
  KSOCKET_OPTIONS_OF_LOCAL_SOCKETS(X)
#undef X
  const Row& row = kRows[static_cast<uint32_t>(option)];
  return family == 6 ? Place{row.level_v6, row.name_v6} : Place{row.level_v4, row.name_v4};
}

int set_at(int fd, Place place, std::span<const uint8_t> value) {
  return or_errno(
      setsockopt(fd, place.level, place.name, value.data(), static_cast<socklen_t>(value.size())));
}

// Is it kept for each family, so that a dual-stack socket has it twice? Or does it ask for a control message
// that the families have in a place each? A dual-stack socket gives IPv4 datagrams IPv4's (udpv6_recvmsg
// calls ip_cmsg_recv), and only if IPv4's option is set on it.
constexpr bool is_of_each_family(SocketOption option) {
  bool out = false;
#define X(name, type, level_v4, type_v4, Form_v4, level_v6, type_v6, Form_v6, asked_with) \
  if (level_v4 != level_v6 || type_v4 != type_v6) out |= option == SocketOption::asked_with;
  KSOCKET_RECEIVED_KINDS(X)
#undef X
#define X(name) out |= option == SocketOption::name;
  KSOCKET_OPTIONS_OF_EACH_FAMILY(X)
#undef X
  return out;
}

}  // namespace

int set_option(int fd, uint8_t family, SocketOption option, int value) {
  return set_option(fd, family, option, {reinterpret_cast<const uint8_t*>(&value), sizeof value});
}

int set_option(int fd, uint8_t family, SocketOption option, std::span<const uint8_t> value) {
  if (option >= SocketOption::kCount) return -EINVAL;
  Place place = place_of(family, option);
  if (place.level < 0) return -ENOPROTOOPT;
  if (option == SocketOption::send_times && !takes_send_ids()) return -ENOPROTOOPT;
  int error = set_at(fd, place, value);
  // Where the kernel refuses that, it is only IPv4 that goes without.
  if (error == 0 && family == 6 && is_of_each_family(option)) set_at(fd, place_of(4, option), value);
  return error;
}

int get_option(int fd, uint8_t family, SocketOption option, int* value) {
  if (option >= SocketOption::kCount) return -EINVAL;
  Place place = place_of(family, option);
  if (place.level < 0) return -ENOPROTOOPT;
  socklen_t length = sizeof *value;
  return or_errno(getsockopt(fd, place.level, place.name, value, &length));
}

int probe_option(SocketOption option, std::span<const uint8_t> value) {
  uint8_t family = 4;
  Fd fd;
  int error = open_datagram(family, &fd);
  if (error == -EAFNOSUPPORT) error = open_datagram(family = 6, &fd);
  return error != 0 ? error : set_option(fd.get(), family, option, value);
}

}  // namespace ksocket
