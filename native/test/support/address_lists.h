// Address lists as the obvious code sees them: ranges in any order, overlapping or not, looked through one
// by one. And random ones, made so that borders meet.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/answer/protection/address_set.h"
#include "support/random.h"

namespace ksocket::test {

// IPv4 is ::ffff:a.b.c.d.
using List = std::vector<AddressRange<Ipv6Number>>;

// "10.0.0.1", or "10.0.0.1-10.0.0.9".
List list_of(std::initializer_list<std::string> ranges);
bool lists(const List& list, Ipv6Number number);

// What lib/server/protection.ts makes of a list.
std::vector<uint8_t> encode(List list);
AddressSet set_of(const List& list);
AddressSet set_of(std::initializer_list<std::string> ranges);

Ipv6Number number_of(const Address& address);
// IPv6, also when it is mapped.
Address ipv6_of(Ipv6Number number);
// IPv4 when it is mapped.
Address unmapped(Ipv6Number number);

// Numbers that have much in common, so that ranges touch, overlap, and differ in one word only.
class RandomAddresses {
 public:
  explicit RandomAddresses(uint32_t seed) : RandomAddresses(Random(seed)) {}
  explicit RandomAddresses(Random random) : random_(std::move(random)) {}

  List list(size_t ranges_max);
  // At a border of one of the ranges, beside it, or anywhere.
  Ipv6Number near(const List& list);
  Ipv6Number number();
  uint32_t below(size_t limit) { return random_.below(static_cast<uint32_t>(limit)); }

 private:
  Random random_;
};

// How many inputs a test makes up: KSOCKET_FUZZ_INPUTS, or `otherwise`.
uint64_t fuzz_inputs(uint64_t otherwise);

}  // namespace ksocket::test
