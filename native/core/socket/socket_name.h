// The name of a socket of any kind, as system calls have it; for IP alone SockAddr is smaller.
#pragma once

#include <sys/un.h>

#include "core/socket/address.h"
#include "core/socket/family.h"

namespace ksocket {

struct SocketName {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  };
  socklen_t length = 0;

  SocketName() : local{} {}
};

// Of a local socket a number (path_table.h) that stands for nothing any more is a name that the kernel
// refuses, EINVAL.
void write_name(const Address& address, SocketName* out);
inline SocketName to_name(const Address& address) {
  SocketName out;
  write_name(address, &out);
  return out;
}
// `length`: as the kernel says it; a local socket that has no name has none.
Address from_name(uint8_t family, const sockaddr* any, socklen_t length);

// The path, or, with a zero in front, the abstract name. -EINVAL, or -ENAMETOOLONG beyond kPathBytesMax.
inline constexpr size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;
int parse_path(std::string_view text, Address* out);

// What the number stands for, as a destination or a source.
inline Address local_address(uint64_t path_number) {
  Address out;
  out.family = kLocal;
  std::memcpy(out.bytes, &path_number, sizeof path_number);
  return out;
}
inline uint64_t path_number(const Address& address) {
  uint64_t number;
  std::memcpy(&number, address.bytes, sizeof number);
  return number;
}

}  // namespace ksocket
