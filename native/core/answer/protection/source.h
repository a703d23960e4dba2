// A datagram's source as protection sees it: numbers that can be compared, and one form for IPv4 however it
// came in (a dual-stack socket says ::ffff:a.b.c.d, RFC 4291 section 2.5.5.2).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "core/socket/address.h"

namespace ksocket {

// An IPv6 address. Not __int128: 32-bit targets have none.
struct Ipv6Number {
  uint64_t high = 0, low = 0;

  auto operator<=>(const Ipv6Number&) const = default;

  Ipv6Number next() const { return {high + (low == UINT64_MAX), low + 1}; }
  Ipv6Number previous() const { return {high - (low == 0), low - 1}; }
};

// ::ffff:0:0/96
inline constexpr Ipv6Number kMappedFirst{0, 0xffff'0000'0000};
inline constexpr Ipv6Number kMappedLast{0, 0xffff'ffff'ffff};

// `size` bytes (8 at most) in network byte order.
inline uint64_t read_big_endian(const uint8_t* bytes, int size) {
  uint64_t out = 0;
  for (int i = 0; i < size; i++) out = out << 8 | bytes[i];
  return out;
}

inline Ipv6Number ipv6_number(const uint8_t* bytes) {
  return {read_big_endian(bytes, 8), read_big_endian(bytes + 8, 8)};
}

// None: it is neither an IPv4 address nor an IPv4-mapped IPv6 address.
inline std::optional<uint32_t> ipv4_number(const Address& address) {
  if (address.family == 4) return static_cast<uint32_t>(read_big_endian(address.bytes, 4));
  if (address.family != 6) return std::nullopt;
  Ipv6Number number = ipv6_number(address.bytes);
  if (number < kMappedFirst || number > kMappedLast) return std::nullopt;
  return static_cast<uint32_t>(number.low);
}

// One number for a host, IPv4 as the IPv4-mapped address; port and zone do not count.
inline Ipv6Number host_number(const Address& address) {
  std::optional<uint32_t> ipv4 = ipv4_number(address);
  return ipv4 ? Ipv6Number{0, kMappedFirst.low | *ipv4} : ipv6_number(address.bytes);
}

}  // namespace ksocket
