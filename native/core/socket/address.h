// Socket addresses between text, sockaddr and the descriptor's packed form.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/hash.h"
#include "core/memory/layout.h"
#include "core/socket/family.h"

namespace ksocket {

// A destination or a source: what a descriptor says of it, comparable and hashable.
struct Address {
  uint8_t bytes[16] = {};
  uint32_t scope_id = 0;
  uint16_t port = 0;
  uint8_t family = 0;  // 4, 6, kLocal: then `bytes` begin with its number in the PathTable; or 0: none

  bool operator==(const Address& other) const {
    return family == other.family && port == other.port && scope_id == other.scope_id &&
           std::memcmp(bytes, other.bytes, sizeof bytes) == 0;
  }
};

// 0.0.0.0 or ::, also as an IPv6 socket writes the former: as an own address every one of the machine's.
inline bool is_unspecified(const Address& address) {
  constexpr uint8_t kNone[16] = {}, kMapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (address.family == 4) return std::memcmp(address.bytes, kNone, 4) == 0;
  return std::memcmp(address.bytes, kNone, 16) == 0 || std::memcmp(address.bytes, kMapped, 16) == 0;
}

// For tables; see hash.h.
inline uint64_t seeded_hash(uint64_t seed, const Address& address) {
  uint64_t low, high;
  std::memcpy(&low, address.bytes, 8);
  std::memcpy(&high, address.bytes + 8, 8);
  return seeded_hash(seed, {low, high, uint64_t{address.scope_id} << 32 | address.port});
}

// A sockaddr of either family, and how much of it counts.
struct SockAddr {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t length = 0;

  SockAddr() : v6{} {}
};

SockAddr to_sockaddr(const Address& address);
Address from_sockaddr(const sockaddr* any);

// Of IP numeric text only; the zone behind an IPv6 address's '%' is an interface's name. -EINVAL when `text`
// is not one of `family`.
int parse_address(uint8_t family, std::string_view text, uint16_t port, Address* out);
// As inet_ntop(3), an IPv6 link-local address with its zone: fe80::1%eth0.
std::string format_address(const Address& address);

inline void write_address(const Address& from, Descriptor* to) {
  std::memcpy(to->address, from.bytes, sizeof from.bytes);
  to->scope_id = from.scope_id;
  to->port = from.port;
  to->family = from.family;
}
inline Address read_address(const Descriptor& from) {
  Address to;  // JavaScript reuses descriptors without clearing them: an IPv4 address is its first four bytes
               // only
  std::memcpy(to.bytes, from.address, from.family == 6 ? 16 : from.family == kLocal ? 8 : 4);
  to.scope_id = from.family == 6 ? from.scope_id : 0;
  to.port = from.port;
  to.family = from.family;
  return to;
}

}  // namespace ksocket
