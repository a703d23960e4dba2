#include "support/address_lists.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "support/fake_engine.h"

namespace ksocket::test {

namespace {

constexpr Ipv6Number kLast{UINT64_MAX, UINT64_MAX};

void write_big_endian(uint64_t number, uint8_t* to) {
  for (int i = 7; i >= 0; i--, number >>= 8) to[i] = static_cast<uint8_t>(number);
}

Ipv6Number parse(const std::string& text) {
  return number_of(address_of(text.c_str(), 0));
}

}  // namespace

Ipv6Number number_of(const Address& address) {
  if (address.family == 6) return ipv6_number(address.bytes);
  return {0, kMappedFirst.low | read_big_endian(address.bytes, 4)};
}

Address ipv6_of(Ipv6Number number) {
  Address out;
  out.family = 6;
  write_big_endian(number.high, out.bytes);
  write_big_endian(number.low, out.bytes + 8);
  return out;
}

Address unmapped(Ipv6Number number) {
  Address out = ipv6_of(number);
  if (number < kMappedFirst || number > kMappedLast) return out;
  std::copy_n(out.bytes + 12, 4, out.bytes);
  std::fill(out.bytes + 4, out.bytes + 16, 0);
  out.family = 4;
  return out;
}

List list_of(std::initializer_list<std::string> ranges) {
  List out;
  for (const std::string& range : ranges) {
    size_t dash = range.find('-');
    out.push_back(
        {parse(range.substr(0, dash)), parse(dash == std::string::npos ? range : range.substr(dash + 1))});
  }
  return out;
}

bool lists(const List& list, Ipv6Number number) {
  return std::any_of(list.begin(), list.end(),
                     [&](const auto& range) { return range.first <= number && number <= range.last; });
}

std::vector<uint8_t> encode(List list) {
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<uint8_t> out;
  for (const auto& range : list) {
    for (Ipv6Number number : {range.first, range.last}) {
      Address address = ipv6_of(number);
      out.insert(out.end(), address.bytes, address.bytes + 16);
    }
  }
  return out;
}

AddressSet set_of(const List& list) {
  auto set = AddressSet::decode(encode(list));
  if (!set) throw std::runtime_error("the list does not decode");
  return *std::move(set);
}

AddressSet set_of(std::initializer_list<std::string> ranges) {
  return set_of(list_of(ranges));
}

Ipv6Number RandomAddresses::number() {
  // Each 32-bit word is one of a few, or any.
  auto word = [&]() -> uint64_t {
    switch (below(6)) {
      case 0:
        return UINT32_MAX;
      case 1:
        return 0xffff;
      case 2:
        return below(4);
      case 3:
        return random_();
      default:
        return 0;
    }
  };
  if (below(2) == 0) return {0, kMappedFirst.low | (below(2) == 0 ? word() : random_())};
  return {word() << 32 | word(), word() << 32 | word()};
}

List RandomAddresses::list(size_t ranges_max) {
  List out;
  for (size_t count = below(ranges_max + 1); count > 0; count--) {
    Ipv6Number first = out.empty() || below(3) == 0 ? number() : near(out), last = first;
    switch (below(4)) {
      case 0:  // an address
        break;
      case 1: {  // a prefix
        uint64_t host_bits = below(128);
        uint64_t low = host_bits >= 64 ? UINT64_MAX : (uint64_t{1} << host_bits) - 1;
        uint64_t high = host_bits < 64 ? 0 : (uint64_t{1} << (host_bits - 64)) - 1;
        first = {first.high & ~high, first.low & ~low};
        last = {first.high | high, first.low | low};
        break;
      }
      case 2:  // some neighbours
        last.low |= below(1000);
        break;
      case 3:
        last = number();
        if (last < first) std::swap(first, last);
        break;
    }
    out.push_back({first, last});
  }
  return out;
}

Ipv6Number RandomAddresses::near(const List& list) {
  if (list.empty() || below(8) == 0) return number();
  const auto& range = list[below(list.size())];
  Ipv6Number border = below(2) == 0 ? range.first : range.last;
  switch (below(3)) {
    case 0:
      return border == Ipv6Number{} ? border : border.previous();
    case 1:
      return border == kLast ? border : border.next();
    default:
      return border;
  }
}

uint64_t fuzz_inputs(uint64_t otherwise) {
  const char* text = std::getenv("KSOCKET_FUZZ_INPUTS");
  return text == nullptr ? otherwise : std::stoull(text);
}

}  // namespace ksocket::test
