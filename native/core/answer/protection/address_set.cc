#include "core/answer/protection/address_set.h"

#include <algorithm>

namespace ksocket {

namespace {

uint32_t following(uint32_t number) {
  return number + 1;
}
Ipv6Number following(Ipv6Number number) {
  return number.next();
}

// Ranges come ascending by their first address.
template <typename Number>
void append(std::vector<AddressRange<Number>>& ranges, Number first, Number last) {
  // Where following() wraps to 0, the first comparison has held already.
  if (!ranges.empty() && (first <= ranges.back().last || first == following(ranges.back().last))) {
    ranges.back().last = std::max(ranges.back().last, last);
  } else {
    ranges.push_back({first, last});
  }
}

template <typename Number>
bool find(const std::vector<AddressRange<Number>>& ranges, const Number& number) {
  auto behind =
      std::upper_bound(ranges.begin(), ranges.end(), number,
                       [](const Number& wanted, const auto& range) { return wanted < range.first; });
  return behind != ranges.begin() && number <= std::prev(behind)->last;
}

}  // namespace

std::optional<AddressSet> AddressSet::decode(std::span<const uint8_t> encoded) {
  if (encoded.size() % kEncodedRangeBytes != 0) return std::nullopt;
  if (encoded.size() / kEncodedRangeBytes > kRangesMax) return std::nullopt;
  AddressSet set;
  Ipv6Number latest;
  for (; !encoded.empty(); encoded = encoded.subspan(kEncodedRangeBytes)) {
    AddressRange<Ipv6Number> range{ipv6_number(encoded.data()), ipv6_number(encoded.data() + 16)};
    if (range.last < range.first || range.first < latest) return std::nullopt;
    latest = range.first;
    set.add(range);
  }
  return set;
}

// What lies below the IPv4-mapped addresses, among them, and above.
void AddressSet::add(const AddressRange<Ipv6Number>& range) {
  const auto& [first, last] = range;
  if (first < kMappedFirst) append(ipv6_, first, std::min(last, kMappedFirst.previous()));
  if (first <= kMappedLast && last >= kMappedFirst) {
    append(ipv4_, static_cast<uint32_t>(std::max(first, kMappedFirst).low),
           static_cast<uint32_t>(std::min(last, kMappedLast).low));
  }
  if (last > kMappedLast) append(ipv6_, std::max(first, kMappedLast.next()), last);
}

bool AddressSet::contains(const Address& address) const {
  if (std::optional<uint32_t> ipv4 = ipv4_number(address)) return contains(*ipv4);
  return address.family == 6 && contains(ipv6_number(address.bytes));
}

bool AddressSet::contains(uint32_t ipv4) const {
  return find(ipv4_, ipv4);
}

bool AddressSet::contains(Ipv6Number ipv6) const {
  return find(ipv6_, ipv6);
}

}  // namespace ksocket
