#include "core/datapath/peer_table.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>
#include <vector>

#include "support/fake_engine.h"

namespace ksocket {
namespace {

using test::address_of;

Address numbered(uint32_t n) {
  Address out = address_of("10.0.0.0", static_cast<uint16_t>(1024 + n % 1000));
  std::memcpy(out.bytes, &n, 4);
  return out;
}

TEST(PeerTable, gives_an_address_the_same_id_again) {
  PeerTable peers(64, 1);
  PeerTable::Found first = peers.intern(address_of("127.0.0.1", 5000));
  EXPECT_TRUE(first.is_new);
  EXPECT_FALSE(first.evicted);
  PeerTable::Found again = peers.intern(address_of("127.0.0.1", 5000));
  EXPECT_EQ(again.id, first.id);
  EXPECT_FALSE(again.is_new);
}

TEST(PeerTable, tells_addresses_apart_in_every_part) {
  PeerTable peers(4096, 1);
  Address zone_1 = address_of("fe80::1", 5000), zone_2 = zone_1;
  zone_1.scope_id = 1;
  zone_2.scope_id = 2;
  // ::  and 0.0.0.0 have the same bytes and differ in nothing but the family.
  std::vector<Address> all = {address_of("127.0.0.1", 5000),
                              address_of("127.0.0.1", 5001),
                              address_of("127.0.0.2", 5000),
                              address_of("::1", 5000),
                              address_of("::2", 5000),
                              address_of("1::", 5000),
                              address_of("::", 5000),
                              address_of("0.0.0.0", 5000),
                              zone_1,
                              zone_2};
  std::set<uint32_t> ids;
  for (const Address& address : all) {
    PeerTable::Found found = peers.intern(address);
    EXPECT_TRUE(found.is_new) << format_address(address);
    ids.insert(found.id);
  }
  EXPECT_EQ(ids.size(), all.size());
  for (const Address& address : all) EXPECT_FALSE(peers.intern(address).is_new) << format_address(address);
}

// One set, so that the order of eviction shows.
TEST(PeerTable, forgets_the_least_recently_seen_of_a_set) {
  PeerTable peers(PeerTable::kWays, 1);
  std::vector<uint32_t> ids;
  for (uint32_t n = 0; n < PeerTable::kWays; n++) {
    PeerTable::Found found = peers.intern(numbered(n));
    EXPECT_TRUE(found.is_new);
    EXPECT_FALSE(found.evicted);
    ids.push_back(found.id);
  }
  for (uint32_t n : {0, 1, 2, 4, 5, 6, 7}) EXPECT_FALSE(peers.intern(numbered(n)).is_new);

  PeerTable::Found stranger = peers.intern(numbered(100));
  EXPECT_TRUE(stranger.is_new);
  EXPECT_TRUE(stranger.evicted);
  EXPECT_EQ(stranger.id, ids[3]);
  // The one that lost its place is new again, and costs the next in line its own.
  PeerTable::Found back = peers.intern(numbered(3));
  EXPECT_TRUE(back.is_new);
  EXPECT_TRUE(back.evicted);
  EXPECT_EQ(back.id, ids[0]);
  for (uint32_t n : {1, 2, 4, 5, 6, 7, 100}) EXPECT_FALSE(peers.intern(numbered(n)).is_new) << n;
}

TEST(PeerTable, evicts_nobody_before_a_set_is_full) {
  PeerTable peers(1024, 7);
  uint32_t evicted = 0;
  std::set<uint32_t> ids;
  for (uint32_t n = 0; n < 128; n++) {
    PeerTable::Found found = peers.intern(numbered(n));
    evicted += found.evicted;
    ids.insert(found.id);
  }
  EXPECT_EQ(evicted, 0u);
  EXPECT_EQ(ids.size(), 128u);
}

// What JavaScript relies on: it formats an address when told that an id is new, and an id whose last news it
// heard always stands for that address.
TEST(PeerTable, announces_every_change_of_meaning_under_a_flood_of_spoofed_sources) {
  constexpr uint32_t kCapacity = 256;
  PeerTable peers(kCapacity, 42);
  std::vector<std::optional<Address>> heard(kCapacity);
  std::mt19937 random(1);
  uint32_t news = 0, evictions = 0;
  for (uint32_t i = 0; i < 500'000; i++) {
    Address address =
        numbered(i % 3 == 0 ? static_cast<uint32_t>(random() % 200) : static_cast<uint32_t>(random()));
    PeerTable::Found found = peers.intern(address);
    ASSERT_LT(found.id, kCapacity);
    if (found.is_new) {
      ASSERT_EQ(found.evicted, heard[found.id].has_value());
      heard[found.id] = address;
      news++;
    }
    evictions += found.evicted;
    ASSERT_TRUE(heard[found.id] == address) << "id " << found.id << " stands for another address unannounced";
  }
  EXPECT_EQ(peers.capacity(), kCapacity);
  EXPECT_EQ(news - evictions, kCapacity) << "each place was free once";
  EXPECT_GT(evictions, 300'000u);
}

TEST(PeerTable, keeps_a_peer_that_goes_on_talking_through_a_flood) {
  PeerTable peers(1024, 3);
  Address regular = address_of("192.0.2.1", 4000);
  uint32_t id = peers.intern(regular).id;
  for (uint32_t i = 0; i < 100'000; i++) {
    peers.intern(numbered(i));
    // Even when all the strangers between hit its set they push out one another first.
    if (i % (PeerTable::kWays - 1) == 0) {
      PeerTable::Found found = peers.intern(regular);
      ASSERT_EQ(found.id, id);
      ASSERT_FALSE(found.is_new);
    }
  }
}

// Whoever could foresee the set of an address could crowd out a chosen peer with eight sources.
TEST(PeerTable, places_addresses_differently_for_each_seed) {
  PeerTable one(4096, 1), other(4096, 2), same(4096, 1);
  uint32_t differ = 0;
  for (uint32_t n = 0; n < 100; n++) {
    uint32_t id = one.intern(numbered(n)).id;
    EXPECT_EQ(same.intern(numbered(n)).id, id);
    differ += other.intern(numbered(n)).id != id;
  }
  EXPECT_GT(differ, 90u);
}

TEST(PeerTable, spreads_neighbouring_addresses_over_the_sets) {
  PeerTable peers(4096, 5);
  std::set<uint32_t> sets;
  Address address = address_of("2001:db8::", 4000);
  for (uint32_t n = 0; n < 256; n++) {
    address.bytes[15] = static_cast<uint8_t>(n);
    sets.insert(peers.intern(address).id / PeerTable::kWays);
  }
  EXPECT_GT(sets.size(), 150u);  // 512 sets; chance alone would give about 200
}

}  // namespace
}  // namespace ksocket
