#include "core/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <cerrno>
#include <cstdlib>

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

// An interface's name or its number; 0 when there is none such.
uint32_t parse_zone(const char* zone) {
  if (uint32_t index = if_nametoindex(zone)) return index;
  char* end = nullptr;
  errno = 0;
  unsigned long number = std::strtoul(zone, &end, 10);
  return errno == 0 && end != zone && *end == '\0' && number <= UINT32_MAX ? static_cast<uint32_t>(number)
                                                                           : 0;
}

}  // namespace

int parse_address(uint8_t family, std::string_view text, uint16_t port, Address* out) {
  char buffer[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
  if (text.size() >= sizeof buffer) return -EINVAL;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::strlen(buffer) != text.size()) return -EINVAL;

  Address parsed;
  parsed.family = family;
  parsed.port = port;
  if (family == 6) {
    if (char* percent = std::strchr(buffer, '%')) {
      *percent = '\0';
      parsed.scope_id = parse_zone(percent + 1);
    }
  }
  if (inet_pton(to_af(family), buffer, parsed.bytes) != 1) return -EINVAL;
  *out = parsed;
  return 0;
}

std::string format_address(const Address& address) {
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
