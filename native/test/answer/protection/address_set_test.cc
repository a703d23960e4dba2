#include "core/answer/protection/address_set.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/address_lists.h"
#include "support/fake_engine.h"

namespace ksocket {
namespace {

using test::address_of;
using test::encode;
using test::fuzz_inputs;
using test::List;
using test::list_of;
using test::lists;
using test::number_of;
using test::RandomAddresses;
using test::set_of;

bool contains(const AddressSet& set, const char* address) {
  return set.contains(address_of(address, 4000));
}

TEST(AddressSet, without_ranges_contains_nothing) {
  AddressSet set = *AddressSet::decode({});
  for (const char* address : {"0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1", "ffff::"})
    EXPECT_FALSE(contains(set, address)) << address;
}

TEST(AddressSet, contains_the_first_and_the_last_address_of_a_range_and_no_neighbour) {
  AddressSet set = set_of({"10.0.0.5-10.0.1.9", "192.0.2.1", "2001:db8::5-2001:db8:1::9", "::1"});
  for (const char* in : {"10.0.0.5", "10.0.0.200", "10.0.1.9", "192.0.2.1", "2001:db8::5",
                         "2001:db8:0:ffff::", "2001:db8:1::9", "::1"})
    EXPECT_TRUE(contains(set, in)) << in;
  for (const char* out : {"10.0.0.4", "10.0.1.10", "192.0.2.0", "192.0.2.2", "2001:db8::4", "2001:db8:1::a",
                          "::", "::2", "0.0.0.1"})
    EXPECT_FALSE(contains(set, out)) << out;
}

TEST(AddressSet, does_not_look_at_port_and_zone) {
  AddressSet set = set_of({"fe80::1"});
  Address address = address_of("fe80::1", 53);
  address.scope_id = 7;
  EXPECT_TRUE(set.contains(address));
}

TEST(AddressSet, takes_a_mapped_address_for_the_ipv4_address) {
  AddressSet ipv4 = set_of({"10.0.0.0-10.0.0.255"});
  EXPECT_TRUE(contains(ipv4, "::ffff:10.0.0.7"));
  EXPECT_FALSE(contains(ipv4, "::ffff:10.0.1.0"));
  EXPECT_FALSE(contains(ipv4, "::10.0.0.7"));  // IPv4-compatible, RFC 4291 section 2.5.5.1: another thing
  AddressSet mapped = set_of({"::ffff:10.0.0.0-::ffff:10.0.0.255"});
  EXPECT_TRUE(contains(mapped, "10.0.0.7"));
  EXPECT_TRUE(mapped.ipv6().empty());
}

TEST(AddressSet, takes_an_ipv6_range_around_the_mapped_addresses_for_all_of_ipv4) {
  AddressSet all = set_of({"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"});
  for (const char* address : {"0.0.0.0", "255.255.255.255", "::", "::fffe:ffff:ffff", "::ffff:0.0.0.0",
                              "::1:0:0:0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
    EXPECT_TRUE(contains(all, address)) << address;
  ASSERT_EQ(all.ipv4().size(), 1u);
  ASSERT_EQ(all.ipv6().size(), 2u);
  EXPECT_EQ(all.ipv6()[0].last, kMappedFirst.previous());
  EXPECT_EQ(all.ipv6()[1].first, kMappedLast.next());

  AddressSet upper_half = set_of({"::ffff:128.0.0.0-::1:0:0:5"});
  EXPECT_FALSE(contains(upper_half, "127.255.255.255"));
  EXPECT_TRUE(contains(upper_half, "128.0.0.0"));
  EXPECT_TRUE(contains(upper_half, "::1:0:0:5"));
  EXPECT_FALSE(contains(upper_half, "::1:0:0:6"));
}

TEST(AddressSet, merges_ranges_that_overlap_or_touch) {
  AddressSet set = set_of({"10.0.0.0-10.0.0.9", "10.0.0.3-10.0.0.4", "10.0.0.5-10.0.0.20", "10.0.0.21",
                           "10.0.0.23", "::5-::9", "::a-::b", "::d"});
  ASSERT_EQ(set.ipv4().size(), 2u);
  EXPECT_EQ(set.ipv4()[0].first, 0x0a000000u);
  EXPECT_EQ(set.ipv4()[0].last, 0x0a000015u);
  ASSERT_EQ(set.ipv6().size(), 2u);
  EXPECT_EQ(set.ipv6()[0].last, (Ipv6Number{0, 0xb}));
}

TEST(AddressSet, merges_at_the_ends_of_the_number_ranges) {
  AddressSet set =
      set_of({"0.0.0.0-255.255.255.255", "0.0.0.0", "255.255.255.255", "::", "::1",
              "ffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"});
  EXPECT_EQ(set.ipv4().size(), 1u);
  EXPECT_EQ(set.ipv6().size(), 2u);
}

TEST(AddressSet, belongs_to_no_set_without_a_family) {
  EXPECT_FALSE(set_of({"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}).contains(Address{}));
}

TEST(AddressSet, refuses_bytes_that_are_no_list) {
  std::vector<uint8_t> good = encode(list_of({"10.0.0.1-10.0.0.9", "10.0.0.20"}));
  ASSERT_TRUE(AddressSet::decode(good));
  for (size_t size = 1; size < good.size(); size++) {
    EXPECT_EQ(AddressSet::decode(std::span(good).first(size)).has_value(), size == 32) << size;
  }
  std::vector<uint8_t> reversed = encode({{{0, 9}, {0, 8}}});
  EXPECT_FALSE(AddressSet::decode(reversed));
  std::vector<uint8_t> unsorted = good;
  std::rotate(unsorted.begin(), unsorted.begin() + 32, unsorted.end());
  EXPECT_FALSE(AddressSet::decode(unsorted));
}

TEST(AddressSet, refuses_more_ranges_than_its_limit) {
  std::vector<uint8_t> encoded(AddressSet::kRangesMax * 32);
  EXPECT_TRUE(AddressSet::decode(encoded));
  encoded.resize(encoded.size() + 32);
  EXPECT_FALSE(AddressSet::decode(encoded));
}

TEST(AddressSet, says_what_a_look_through_the_list_says) {
  RandomAddresses random(1);
  uint64_t contained = 0, total = fuzz_inputs(20'000);
  for (uint64_t i = 0; i < total;) {
    List list = random.list(random.below(4) == 0 ? 100 : 10);
    AddressSet set = set_of(list);
    for (int n = 0; n < 64; n++, i++) {
      Ipv6Number number = random.near(list);
      bool listed = lists(list, number);
      ASSERT_EQ(set.contains(test::ipv6_of(number)), listed) << format_address(test::ipv6_of(number));
      ASSERT_EQ(set.contains(test::unmapped(number)), listed) << format_address(test::unmapped(number));
      contained += listed;
    }
  }
  EXPECT_GT(contained, total / 4) << "the addresses are no test";
  EXPECT_LT(contained, total * 9 / 10) << "the addresses are no test";
}

// Whatever the bytes are: either they are refused, or they make a set in order.
TEST(AddressSet, decodes_arbitrary_bytes_in_order_or_not_at_all) {
  RandomAddresses random(2);
  uint64_t decoded = 0, total = fuzz_inputs(20'000);
  for (uint64_t i = 0; i < total; i++) {
    std::vector<uint8_t> bytes = encode(random.list(4));
    for (uint64_t changes = random.below(3); changes > 0 && !bytes.empty(); changes--)
      bytes[random.below(bytes.size())] ^= static_cast<uint8_t>(1 << random.below(8));
    if (random.below(8) == 0) bytes.resize(random.below(bytes.size() + 40));
    auto set = AddressSet::decode(bytes);
    decoded += set.has_value();
    if (!set) continue;
    auto in_order = [](auto ranges) {
      for (const auto& range : ranges) ASSERT_LE(range.first, range.last);
      for (size_t n = 1; n < ranges.size(); n++) ASSERT_LT(ranges[n - 1].last, ranges[n].first);
    };
    in_order(set->ipv4());
    in_order(set->ipv6());
  }
  EXPECT_GT(decoded, total / 4) << "the bytes are no test";
  EXPECT_LT(decoded, total) << "the bytes are no test";
}

}  // namespace
}  // namespace ksocket
