#include "core/socket/address.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include <cerrno>
#include <string>

#include "support/fake_engine.h"

namespace ksocket {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using test::address_of;

TEST(Address, reads_ipv4_text) {
  Address address;
  ASSERT_EQ(parse_address(4, "192.0.2.7", 5353, &address), 0);
  EXPECT_EQ(address.family, 4);
  EXPECT_EQ(address.port, 5353);
  const uint8_t expected[16] = {192, 0, 2, 7};
  EXPECT_EQ(std::memcmp(address.bytes, expected, 16), 0);
  EXPECT_EQ(address.scope_id, 0u);
}

TEST(Address, reads_ipv6_text) {
  Address address;
  ASSERT_EQ(parse_address(6, "2001:db8::ff", 1, &address), 0);
  EXPECT_EQ(address.family, 6);
  EXPECT_EQ(address.bytes[0], 0x20);
  EXPECT_EQ(address.bytes[1], 0x01);
  EXPECT_EQ(address.bytes[15], 0xff);
  EXPECT_EQ(format_address(address), "2001:db8::ff");
}

class GoodAddress : public testing::TestWithParam<std::pair<int, const char*>> {};

TEST_P(GoodAddress, comes_back_as_the_same_text) {
  auto [family, text] = GetParam();
  Address address;
  ASSERT_EQ(parse_address(static_cast<uint8_t>(family), text, 9, &address), 0);
  EXPECT_EQ(format_address(address), text);
}

INSTANTIATE_TEST_SUITE_P(, GoodAddress,
                         testing::Values(std::pair(4, "0.0.0.0"), std::pair(4, "127.0.0.1"),
                                         std::pair(4, "255.255.255.255"), std::pair(6, "::"),
                                         std::pair(6, "::1"), std::pair(6, "::ffff:192.0.2.1"),
                                         std::pair(6, "fe80::1"), std::pair(6, "ff02::fb"),
                                         std::pair(6, "1111:2222:3333:4444:5555:6666:7777:8888")));

class BadAddress : public testing::TestWithParam<std::pair<int, std::string_view>> {};

TEST_P(BadAddress, is_refused_and_changes_nothing) {
  auto [family, text] = GetParam();
  Address address = address_of("192.0.2.1", 7), before = address;
  EXPECT_EQ(parse_address(static_cast<uint8_t>(family), text, 9, &address), -EINVAL);
  EXPECT_TRUE(address == before);
}

INSTANTIATE_TEST_SUITE_P(
    , BadAddress,
    testing::Values(std::pair(4, ""sv), std::pair(4, "localhost"sv), std::pair(4, "1.2.3"sv),
                    std::pair(4, "1.2.3.4.5"sv), std::pair(4, "256.0.0.1"sv), std::pair(4, " 1.2.3.4"sv),
                    std::pair(4, "1.2.3.4 "sv), std::pair(4, "1.2.3.4:80"sv), std::pair(4, "1.2.3.4%lo"sv),
                    std::pair(4, "::1"sv), std::pair(4, "0x7f.0.0.1"sv), std::pair(6, ""sv),
                    std::pair(6, "127.0.0.1"sv), std::pair(6, ":"sv), std::pair(6, ":::"sv),
                    std::pair(6, "[::1]"sv), std::pair(6, "1::2::3"sv), std::pair(6, "::12345"sv),
                    std::pair(6, "%lo"sv), std::pair(6, "1:2:3:4:5:6:7:8:9"sv)));

// The C functions would read up to the NUL and call it good.
TEST(Address, refuses_text_with_an_embedded_nul) {
  Address address;
  EXPECT_EQ(parse_address(4, "127.0.0.1\0"sv, 1, &address), -EINVAL);
  EXPECT_EQ(parse_address(4, "127.0.0.1\0.example"sv, 1, &address), -EINVAL);
  EXPECT_EQ(parse_address(6, "::1\0garbage"sv, 1, &address), -EINVAL);
  EXPECT_EQ(parse_address(6, "fe80::1%lo\0x"sv, 1, &address), -EINVAL);
}

// Without any memory either: memcpy(3) takes no null pointers.
TEST(Address, refuses_empty_text) {
  Address address;
  for (uint8_t family : {4, 6}) EXPECT_EQ(parse_address(family, std::string_view(), 1, &address), -EINVAL);
}

TEST(Address, refuses_text_longer_than_any_address) {
  Address address;
  for (size_t length : {45, 46, 62, 63, 64, 1000, 100'000}) {
    EXPECT_EQ(parse_address(6, std::string(length, '1'), 1, &address), -EINVAL) << length;
    EXPECT_EQ(parse_address(6, std::string(length, '1') + "%lo", 1, &address), -EINVAL) << length;
  }
}

TEST(Address, reads_an_ipv6_zone_by_its_name) {
  uint32_t loopback = if_nametoindex("lo");
  ASSERT_NE(loopback, 0u);
  Address address;
  ASSERT_EQ(parse_address(6, "fe80::1%lo", 1, &address), 0);
  EXPECT_EQ(address.scope_id, loopback);
  EXPECT_EQ(format_address(address), "fe80::1%lo");
}

TEST(Address, shows_the_number_of_a_zone_that_has_no_name) {
  Address address = address_of("fe80::1", 1);
  address.scope_id = 4294967295u;
  EXPECT_EQ(format_address(address), "fe80::1%4294967295");
}

// As libuv does: the address is good, the zone is none.
TEST(Address, takes_an_unknown_zone_for_none) {
  const std::string longer(100'000, 'x'), number = std::to_string(if_nametoindex("lo"));
  for (const std::string& zone : {""s, "nosuchif"s, "lo "s, "4294967296"s, "lo%lo"s, longer, number}) {
    std::string text = "fe80::1%" + zone;
    Address address;
    ASSERT_EQ(parse_address(6, text, 1, &address), 0) << text;
    EXPECT_EQ(address.scope_id, 0u) << text;
    EXPECT_EQ(format_address(address), "fe80::1") << text;
  }
}

TEST(Address, shows_a_zone_of_link_local_addresses_only) {
  Address address = address_of("2001:db8::1", 1);
  address.scope_id = if_nametoindex("lo");
  EXPECT_EQ(format_address(address), "2001:db8::1");
}

TEST(Address, goes_to_a_sockaddr_and_back) {
  Address v4 = address_of("192.0.2.1", 65535), v6 = address_of("fe80::1%lo", 1);
  SockAddr name = to_sockaddr(v4);
  EXPECT_EQ(name.length, sizeof(sockaddr_in));
  EXPECT_EQ(name.any.sa_family, AF_INET);
  EXPECT_EQ(name.v4.sin_port, htons(65535));
  EXPECT_TRUE(from_sockaddr(&name.any) == v4);

  name = to_sockaddr(v6);
  EXPECT_EQ(name.length, sizeof(sockaddr_in6));
  EXPECT_EQ(name.any.sa_family, AF_INET6);
  EXPECT_EQ(name.v6.sin6_scope_id, v6.scope_id);
  EXPECT_TRUE(from_sockaddr(&name.any) == v6);
}

TEST(Address, has_no_sockaddr_when_there_is_no_destination) {
  EXPECT_EQ(to_sockaddr(Address{}).length, 0u);
  sockaddr unix_name{};
  unix_name.sa_family = AF_UNIX;
  EXPECT_EQ(from_sockaddr(&unix_name).family, 0);
}

TEST(Address, goes_into_a_descriptor_and_back) {
  for (const Address& address : {address_of("192.0.2.1", 4000), address_of("fe80::2%lo", 4001), Address{}}) {
    Descriptor descriptor{};
    write_address(address, &descriptor);
    EXPECT_TRUE(read_address(descriptor) == address);
  }
}

// JavaScript writes four bytes for IPv4 and leaves what an earlier IPv6 destination left behind.
TEST(Address, ignores_what_a_reused_descriptor_holds_beyond_ipv4) {
  Descriptor descriptor{};
  write_address(address_of("fe80::1%lo", 1), &descriptor);
  Address wanted = address_of("192.0.2.1", 2);
  std::memcpy(descriptor.address, wanted.bytes, 4);
  descriptor.family = 4;
  descriptor.port = 2;
  EXPECT_TRUE(read_address(descriptor) == wanted);
}

}  // namespace
}  // namespace ksocket
