#include "core/socket/options.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/base/kernel_names.h"
#include "core/base/or_errno.h"

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

}  // namespace

int set_option(int fd, uint8_t family, SocketOption option, int value) {
  if (option >= SocketOption::kCount) return -EINVAL;
  Place place = place_of(family, option);
  if (place.level < 0) return -ENOPROTOOPT;
  return or_errno(setsockopt(fd, place.level, place.name, &value, sizeof value));
}

int get_option(int fd, uint8_t family, SocketOption option, int* value) {
  if (option >= SocketOption::kCount) return -EINVAL;
  Place place = place_of(family, option);
  if (place.level < 0) return -ENOPROTOOPT;
  socklen_t length = sizeof *value;
  return or_errno(getsockopt(fd, place.level, place.name, value, &length));
}

}  // namespace ksocket
