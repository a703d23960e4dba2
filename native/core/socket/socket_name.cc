#include "core/socket/socket_name.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "core/socket/path_table.h"

namespace ksocket {

namespace {

constexpr size_t kPathAt = offsetof(sockaddr_un, sun_path);

}  // namespace

void write_name(const Address& address, SocketName* out) {
  if (address.family != kLocal) {
    SockAddr name = to_sockaddr(address);
    std::memcpy(&out->any, &name.any, name.length);
    out->length = name.length;
    return;
  }
  out->local.sun_family = AF_UNIX;
  size_t bytes = PathTable::of_process().copy_name(path_number(address), out->local.sun_path);
  // A path ends with a zero; an abstract name is as long as it is said to be.
  bool is_path = bytes > 0 && out->local.sun_path[0] != '\0';
  if (is_path && bytes < sizeof out->local.sun_path) out->local.sun_path[bytes++] = '\0';
  out->length = static_cast<socklen_t>(kPathAt + bytes);
}

Address from_name(uint8_t family, const sockaddr* any, socklen_t length) {
  if (family != kLocal) return from_sockaddr(any);
  if (length <= kPathAt) return local_address(0);
  const auto* local = reinterpret_cast<const sockaddr_un*>(any);
  size_t bytes = std::min<size_t>(length - kPathAt, sizeof local->sun_path);
  if (local->sun_path[0] != '\0') bytes = strnlen(local->sun_path, bytes);
  return local_address(PathTable::of_process().number_of({local->sun_path, bytes}));
}

int parse_path(std::string_view text, Address* out) {
  if (text.empty()) return -EINVAL;
  bool is_path = text[0] != '\0';
  if (is_path && text.find('\0') != text.npos) return -EINVAL;
  if (text.size() > kPathBytesMax + (is_path ? 0 : 1)) return -ENAMETOOLONG;
  *out = local_address(PathTable::of_process().number_of(text));
  return 0;
}

}  // namespace ksocket
