// Allow and deny lists: what decodes is the list, bytes that are none are refused, and an address is in the
// set where a look through the list finds it.
#include "fuzz/support/fuzz.h"
#include "support/address_lists.h"

namespace ksocket::fuzz {

namespace {

using test::List;

uint64_t number_at(std::span<const uint8_t> bytes, size_t at) {
  uint64_t out = 0;
  for (size_t i = 0; i < 8; i++) out = out << 8 | bytes[at + i];
  return out;
}

// What the bytes say, as they stand; none: it is no list.
std::optional<List> interpret(std::span<const uint8_t> bytes) {
  if (bytes.size() % 32 != 0) return std::nullopt;
  List out;
  for (size_t at = 0; at < bytes.size(); at += 32) {
    Ipv6Number first{number_at(bytes, at), number_at(bytes, at + 8)};
    Ipv6Number last{number_at(bytes, at + 16), number_at(bytes, at + 24)};
    if (last < first || (!out.empty() && first < out.back().first)) return std::nullopt;
    out.push_back({first, last});
  }
  return out;
}

template <typename Ranges>
void must_be_in_order(const Ranges& ranges) {
  for (size_t n = 0; n < ranges.size(); n++) {
    must(ranges[n].first <= ranges[n].last, "a range goes up");
    must(n == 0 || ranges[n - 1].last < ranges[n].first, "ranges are in order and do not touch");
  }
}

void check(std::span<const uint8_t> bytes, test::RandomAddresses& probes) {
  std::vector<uint8_t> encoded(bytes.begin(), bytes.end());  // in memory of just that size
  std::optional<AddressSet> set = AddressSet::decode(encoded);
  std::optional<List> list = interpret(bytes);
  must(set.has_value() == list.has_value(), "a list is taken, and nothing else");
  if (!set) return;
  must_be_in_order(set->ipv4());
  must_be_in_order(set->ipv6());
  for (int i = 0; i < 8; i++) {
    Ipv6Number number = probes.near(*list);
    bool listed = test::lists(*list, number);
    must(set->contains(test::ipv6_of(number)) == listed, "an address is in the set if the list has it");
    must(set->contains(test::unmapped(number)) == listed, "an IPv4 address, too");
  }
  must(!set->contains(Address{}), "what has no family is in no set");
}

}  // namespace

void run(Random& in) {
  test::RandomAddresses probes{Random(in.bytes(40))};
  if (in.one_in(4)) return check(in.bytes(in.left()), probes);
  std::span<const uint8_t> changes = in.bytes(6);
  test::RandomAddresses lists{Random(in.bytes(in.left()))};
  std::vector<uint8_t> bytes = test::encode(lists.list(12));
  // Now and then with bytes changed, or cut.
  Random change(changes);
  if (!bytes.empty() && change.one_in(4)) {
    bytes[change.below(static_cast<uint32_t>(bytes.size()))] ^= static_cast<uint8_t>(1 + change.below(255));
  }
  if (change.one_in(16)) bytes.resize(change.below(static_cast<uint32_t>(bytes.size()) + 1));
  check(bytes, probes);
}

}  // namespace ksocket::fuzz
