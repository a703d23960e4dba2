// A set of IP addresses, as ranges: what an allow or a deny list comes to. Immutable once made, so that any
// thread may ask it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/answer/protection/source.h"

namespace ksocket {

template <typename Number>
struct AddressRange {
  Number first, last;  // both belong to it
};

class AddressSet {
 public:
  // More ranges than this are refused; lib/server/protection.ts has the same limit.
  static constexpr size_t kRangesMax = 1 << 20;
  static constexpr size_t kEncodedRangeBytes = 32;

  AddressSet() = default;

  // From lib/server/protection.ts: 32 bytes a range, its first and its last address, 16 bytes each in network
  // byte order, IPv4 as ::ffff:a.b.c.d, ascending by the first address. Ranges may overlap. None: these bytes
  // are not that.
  static std::optional<AddressSet> decode(std::span<const uint8_t> encoded);

  // Port and zone do not count. An IPv4-mapped IPv6 address is the IPv4 address.
  bool contains(const Address& address) const;
  bool contains(uint32_t ipv4) const;
  bool contains(Ipv6Number ipv6) const;  // not an IPv4-mapped one: those are not kept here

  // Ascending, with at least one address between two ranges.
  std::span<const AddressRange<uint32_t>> ipv4() const { return ipv4_; }
  std::span<const AddressRange<Ipv6Number>> ipv6() const { return ipv6_; }

 private:
  void add(const AddressRange<Ipv6Number>& range);

  std::vector<AddressRange<uint32_t>> ipv4_;
  std::vector<AddressRange<Ipv6Number>> ipv6_;
};

}  // namespace ksocket
