#include "core/socket/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <cerrno>

#include "core/socket/path_table.h"
#include "core/socket/socket_name.h"

namespace ksocket {

SockAddr to_sockaddr(const Address& address) {
  SockAddr out;
  if (address.family == 6) {
    out.v6.sin6_family = AF_INET6;
    out.v6.sin6_port = htons(address.port);
    out.v6.sin6_scope_id = address.scope_id;
    std::memcpy(&out.v6.sin6_addr, address.bytes, 16);
    out.length = sizeof out.v6;
  } else if (address.family == 4) {
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(address.port);
    std::memcpy(&out.v4.sin_addr, address.bytes, 4);
    out.length = sizeof out.v4;
  }
  return out;
}

Address from_sockaddr(const sockaddr* any) {
  Address out;
  if (any->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(any);
    out.family = 6;
    out.port = ntohs(v6->sin6_port);
    out.scope_id = v6->sin6_scope_id;
    std::memcpy(out.bytes, &v6->sin6_addr, 16);
  } else if (any->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(any);
    out.family = 4;
    out.port = ntohs(v4->sin_port);
    std::memcpy(out.bytes, &v4->sin_addr, 4);
  }
  return out;
}

namespace {

// An interface's index, or 0 when there is none of that name. A number is no name: libuv, and so node:dgram,
// takes it for an unknown zone, too.
uint32_t parse_zone(std::string_view zone) {
  return zone.size() < IF_NAMESIZE ? if_nametoindex(std::string(zone).c_str()) : 0;
}

}  // namespace

int parse_address(uint8_t family, std::string_view text, uint16_t port, Address* out) {
  if (family == kLocal) return parse_path(text, out);
  if (text.find('\0') != text.npos) return -EINVAL;
  size_t percent = family == 6 ? text.find('%') : text.npos;
  std::string_view literal = text.substr(0, percent);
  char buffer[INET6_ADDRSTRLEN];
  if (literal.size() >= sizeof buffer) return -EINVAL;
  buffer[literal.copy(buffer, literal.size())] = '\0';

  Address parsed;
  parsed.family = family;
  parsed.port = port;
  if (inet_pton(to_af(family), buffer, parsed.bytes) != 1) return -EINVAL;
  if (percent != text.npos) parsed.scope_id = parse_zone(text.substr(percent + 1));
  *out = parsed;
  return 0;
}

std::string format_address(const Address& address) {
  if (address.family == kLocal) return PathTable::of_process().name_of(path_number(address));
  char buffer[INET6_ADDRSTRLEN + IF_NAMESIZE + 1] = "";
  inet_ntop(to_af(address.family), address.bytes, buffer, INET6_ADDRSTRLEN);
  const auto* v6 = reinterpret_cast<const in6_addr*>(address.bytes);
  if (address.family == 6 && address.scope_id != 0 && IN6_IS_ADDR_LINKLOCAL(v6)) {
    char zone[IF_NAMESIZE];
    std::string out = buffer;
    out += '%';
    return out +=
           if_indextoname(address.scope_id, zone) ? std::string(zone) : std::to_string(address.scope_id);
  }
  return buffer;
}

}  // namespace ksocket
