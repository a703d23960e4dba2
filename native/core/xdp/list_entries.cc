#include "core/xdp/list_entries.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace ksocket::xdp {

namespace {

// How many of the lowest bits are 0; 128: all.
uint32_t trailing_zeroes(const Ipv6Number& number) {
  return static_cast<uint32_t>(number.low != 0 ? std::countr_zero(number.low)
                                               : 64 + std::countr_zero(number.high));
}

Ipv6Number last_of(const Ipv6Number& first, uint32_t host_bits) {
  auto ones = [](uint32_t bits) { return bits >= 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1; };
  return {first.high | (host_bits > 64 ? ones(host_bits - 64) : 0), first.low | ones(host_bits)};
}

LpmKey key_of(const Ipv6Number& first, uint32_t host_bits) {
  LpmKey out;
  out.prefix_bits = 128 - host_bits;
  for (int i = 0; i < 8; i++) {
    out.address[i] = static_cast<uint8_t>(first.high >> (56 - 8 * i));
    out.address[8 + i] = static_cast<uint8_t>(first.low >> (56 - 8 * i));
  }
  return out;
}

// The largest network that begins where the range does and ends in it, again and again.
void add_prefixes(Ipv6Number first, const Ipv6Number& last, std::vector<LpmKey>* out) {
  while (out->size() <= kPrefixesMax) {
    uint32_t host_bits = trailing_zeroes(first);
    while (last_of(first, host_bits) > last) host_bits--;
    out->push_back(key_of(first, host_bits));
    Ipv6Number end = last_of(first, host_bits);
    if (end == last) return;
    first = end.next();
  }
}

void add_entries(MapId map, const AddressSet* list, std::vector<MapEntry>* out) {
  if (list == nullptr) return;
  for (const LpmKey& key : prefixes_of(*list)) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&key);
    out->push_back({map, {bytes, bytes + sizeof key}, {1}});
  }
}

}  // namespace

std::vector<LpmKey> prefixes_of(const AddressSet& set) {
  std::vector<LpmKey> out;
  for (const auto& range : set.ipv4()) {
    add_prefixes({0, kMappedFirst.low | range.first}, {0, kMappedFirst.low | range.last}, &out);
  }
  for (const auto& range : set.ipv6()) add_prefixes(range.first, range.last, &out);
  return out;
}

bool lists_fit(const Protection& protection) {
  size_t size = 0;
  for (const AddressSet* list : {protection.deny, protection.allow}) {
    if (list != nullptr) size += prefixes_of(*list).size();
  }
  return size <= kPrefixesMax;
}

std::vector<MapEntry> list_entries(const Protection& protection) {
  std::vector<MapEntry> out;
  add_entries(MapId::deny, protection.deny, &out);
  add_entries(MapId::allow, protection.allow, &out);
  return out;
}

}  // namespace ksocket::xdp
