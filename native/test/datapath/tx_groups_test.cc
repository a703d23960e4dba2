#include "core/datapath/tx_groups.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/fake_engine.h"
#include "support/outbox.h"

namespace ksocket {
namespace {

using test::address_of;
using test::Lines;
using test::Outgoing;

// Datagrams and the messages that they become. Nobody sends them.
class Pile : public test::Staging {
 public:
  explicit Pile(bool enabled = true) { gso.enabled = enabled; }

  std::vector<Outgoing> form() {
    count = groups.form(gso, 4, payloads.data(), descriptors);
    std::vector<Outgoing> out;
    for (const Message& message : groups.messages(0, count))
      out.push_back(test::outgoing_of(7, message.header));
    return out;
  }
  Lines lines() {
    Lines out;
    for (const Outgoing& message : form()) out.push_back(line(message));
    return out;
  }
  std::vector<uint16_t> places(uint32_t group) const {
    std::vector<uint16_t> out;
    for (uint16_t i = groups[group].first; i != TxGroups::kNone; i = groups.next(i)) out.push_back(i);
    return out;
  }
  void clear() {
    descriptors.clear();
    payloads.clear();
  }

  GsoPolicy gso;
  TxGroups groups;
  uint32_t count = 0;
};

using Places = std::vector<uint16_t>;

// ---- what is said besides

// "a" of one kind and "b" of another; the kinds are what differs.
class Said : public Pile {
 public:
  Said& add_saying(const std::string& label, uint16_t tos, uint8_t ttl = 0, uint16_t source = 0) {
    add(1, label, 10);
    Descriptor& d = descriptors.back();
    d.flags = kSaysMore;
    d.tos = tos;
    d.ttl = ttl;
    d.source = source;
    return *this;
  }
  std::vector<std::string> messages(uint8_t family = 4) {
    count = groups.form(gso, family, payloads.data(), descriptors, sources);
    std::vector<std::string> out;
    for (const Message& message : groups.messages(0, count)) {
      Outgoing one = test::outgoing_of(7, message.header);
      out.push_back(line(one) + (one.more.empty() ? "" : " | " + one.more));
    }
    return out;
  }
  std::vector<Source> sources;
};

TEST(TxGroups, says_of_each_message_what_is_said_of_its_datagrams) {
  Said pile;
  pile.sources.resize(2);
  inet_pton(AF_INET, "127.0.0.2", pile.sources[0].address);
  pile.sources[1].ifindex = 3;
  pile.add_saying("a0", kTosSaid | 184, 9, 1)
      .add_saying("a1", kTosSaid | 184, 9, 1)
      .add_saying("b0", 0, 0, 2);
  EXPECT_EQ(pile.messages(),
            (Lines{"1/10: a0 a1 | tos=184 ttl=9 from=127.0.0.2 by=0", "1: b0 | from=0.0.0.0 by=3"}));
}

TEST(TxGroups, a_datagram_whose_time_is_asked_for_leaves_alone_and_in_its_place) {
  Said pile;
  pile.add_saying("a0", 0).add_saying("a1", 0).add_saying("b0", 0).add_saying("c0", 0).add_saying("d0", 0);
  pile.add_saying("d1", 0);
  for (uint16_t i : {2, 3}) {
    pile.descriptors[i].flags |= kTimed;
    pile.descriptors[i].send_id = 7u + i;
  }
  EXPECT_EQ(pile.messages(),
            (Lines{"1/10: a0 a1", "1: b0 | timed=2 id=9", "1: c0 | timed=2 id=10", "1/10: d0 d1"}));
}

TEST(TxGroups, what_leaves_at_one_time_may_leave_joined) {
  Said pile;
  pile.sources.resize(3);
  pile.sources[0].tx_time_ns = 1'000'000'000'000;
  pile.sources[1].tx_time_ns = 1'000'000'000'001;
  pile.sources[2].tx_time_ns = 5;
  pile.sources[2].ifindex = 3;
  pile.add_saying("a0", 0, 0, 1)
      .add_saying("a1", 0, 0, 1)
      .add_saying("b0", 0, 0, 2)
      .add_saying("c0", 0, 0, 3);
  EXPECT_EQ(pile.messages(), (Lines{"1/10: a0 a1 | at=1000000000000", "1: b0 | at=1000000000001",
                                    "1: c0 | at=5 from=0.0.0.0 by=3"}));
}

TEST(TxGroups, an_ipv6_socket_says_it_for_both_families) {
  Said pile;
  pile.sources.resize(1);
  inet_pton(AF_INET6, "::ffff:127.0.0.2", pile.sources[0].address);
  pile.add_saying("a0", kTosSaid, 9, 1);
  EXPECT_EQ(pile.messages(6), (Lines{"1: a0 | tos=0 tos6=0 ttl=9 ttl6=9 from6=::ffff:127.0.0.2 by=0"}));
}

TEST(TxGroups, joins_nothing_of_which_something_else_is_said_and_keeps_the_order) {
  Said pile;
  pile.sources.resize(2);
  pile.add_saying("a0", kTosSaid | 4).add_saying("a1", kTosSaid | 4).add_saying("b0", kTosSaid | 8);
  pile.add_saying("a2", kTosSaid | 4).add_saying("c0", kTosSaid | 4, 9).add_saying("d0", kTosSaid | 4, 9, 1);
  pile.add_saying("e0", kTosSaid | 4, 9, 2).add(1, "n0", 10).add(2, "x0", 10).add(1, "n1", 10);
  EXPECT_EQ(pile.messages(), (Lines{"1/10: a0 a1 | tos=4", "1: b0 | tos=8", "1: a2 | tos=4",
                                    "1: c0 | tos=4 ttl=9", "1: d0 | tos=4 ttl=9 from=0.0.0.0 by=0",
                                    "1: e0 | tos=4 ttl=9 from=0.0.0.0 by=0", "1/10: n0 n1", "2: x0"}));
}

TEST(TxGroups, looks_at_nothing_that_is_not_said) {
  Said pile;
  pile.add_saying("a0", kTosSaid | 4, 9, 1).add_saying("a1", kTosSaid | 8, 3, 2);
  for (Descriptor& d : pile.descriptors) d.flags = 0;  // what JavaScript left there of earlier datagrams
  EXPECT_EQ(pile.messages(), (Lines{"1/10: a0 a1"}));
}

TEST(TxGroups, a_source_that_there_is_not_is_none) {
  Said pile;
  pile.sources.resize(1);
  pile.add_saying("a0", 0, 7, 2).add_saying("b0", 0, 7, UINT16_MAX);
  EXPECT_EQ(pile.messages(), (Lines{"1: a0 | ttl=7", "1: b0 | ttl=7"}));
}

// ---- what is joined

TEST(TxGroups, tells_destinations_apart_in_every_part) {
  Address zone_1 = address_of("fe80::1", 9), zone_2 = zone_1;
  zone_1.scope_id = 1;
  zone_2.scope_id = 2;
  Pile pile;
  for (const Address& to : {address_of("127.0.0.1", 9), address_of("127.0.0.2", 9),
                            address_of("127.0.0.1", 8), address_of("::1", 9), zone_1, zone_2}) {
    pile.add(to, "xx", 10);
  }
  std::vector<Outgoing> messages = pile.form();
  ASSERT_EQ(messages.size(), 6u);
  for (size_t i = 0; i < 6; i++) {
    EXPECT_TRUE(messages[i].to == read_address(pile.descriptors[i])) << i;
  }
}

TEST(TxGroups, joins_on_a_connected_socket_that_names_no_destination) {
  Pile pile;
  pile.add(0, "a0", 50).add(0, "a1", 50);
  EXPECT_EQ(pile.form()[0].to.family, 0);
  EXPECT_EQ(pile.lines(), Lines{"0/50: a0 a1"});
}

TEST(TxGroups, starts_a_group_with_a_longer_datagram) {
  Pile pile;
  pile.add(1, "a0", 50).add(1, "a1", 100).add(1, "a2", 100).add(1, "a3", 50).add(1, "a4", 50);
  EXPECT_EQ(pile.lines(), (Lines{"1: a0", "1/100: a1 a2 a3", "1: a4"}));
}

// Joining behind an older group of the same destination would overtake.
TEST(TxGroups, joins_only_the_latest_group_of_a_destination) {
  Pile pile;
  pile.add(1, "a0", 50).add(2, "b0", 50).add(1, "a1", 100).add(2, "b1", 50).add(1, "a2", 50).add(1, "a3", 50);
  EXPECT_EQ(pile.lines(), (Lines{"1: a0", "2/50: b0 b1", "1/100: a1 a2", "1: a3"}));
}

TEST(TxGroups, joins_no_more_segments_than_the_kernel_takes) {
  Pile pile;
  for (int i = 0; i < 130; i++) pile.add(1, "xx", 10);
  auto sizes = [&] {
    std::vector<size_t> out;
    for (const Outgoing& message : pile.form()) out.push_back(message.data.size() / 10);
    return out;
  };
  EXPECT_EQ(sizes(), (std::vector<size_t>{64, 64, 2}));
  pile.gso.refresh(128);
  EXPECT_EQ(sizes(), (std::vector<size_t>{128, 2}));
}

TEST(TxGroups, joins_no_more_bytes_than_a_datagram_holds) {
  Pile pile;
  for (int i = 0; i < 100; i++) pile.add(1, "xx", 1400);
  std::vector<size_t> sizes;
  for (const Outgoing& message : pile.form()) {
    EXPECT_LE(message.data.size(), 65535u - 40 - 8) << "IPv6 takes no more";
    sizes.push_back(message.data.size() / 1400);
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{46, 46, 8}));
}

TEST(TxGroups, finds_the_groups_of_as_many_destinations_as_there_are_datagrams) {
  Pile pile;
  for (int round = 0; round < 2; round++) {
    for (int port = 1; port <= 256; port++) pile.add(port, "xx", 32);
  }
  std::vector<Outgoing> messages = pile.form();
  EXPECT_EQ(messages.size(), 256u);
  for (const Outgoing& message : messages) ASSERT_EQ(message.segment_size, 32) << message.to.port;
}

TEST(TxGroups, joins_what_came_joined_to_others_of_its_size) {
  Pile pile;
  pile.add(1, "a0", 100)
      .add_joined(1, {"b0", "b1"}, 100, 100)
      .add(1, "c0", 100)
      .add_joined(1, {"d0", "d1"}, 100, 30);
  pile.add(1, "e0", 30).add_joined(1, {"f0", "f1"}, 30, 30);
  EXPECT_EQ(pile.lines(), (Lines{"1/100: a0 b0 b1 c0 d0 d1", "1/30: e0 f0 f1"}))
      << "behind a shorter one nothing";
}

TEST(TxGroups, joins_what_came_joined_to_none_of_another_size) {
  Pile pile;
  pile.add(1, "a0", 100).add_joined(1, {"b0", "b1"}, 50, 50).add_joined(1, {"c0", "c1"}, 51, 51);
  EXPECT_EQ(pile.lines(), (Lines{"1: a0", "1/50: b0 b1", "1/51: c0 c1"}));
}

TEST(TxGroups, joins_no_more_of_what_came_joined_than_the_kernel_takes) {
  auto messages = [](uint32_t max) {
    Pile pile;
    pile.gso.refresh(max);
    for (int i = 0; i < 3; i++) pile.add_joined(1, std::vector<std::string>(50, "xx"), 10, 10);
    std::vector<size_t> out;
    for (const Outgoing& message : pile.form()) out.push_back(message.data.size() / 10);
    return out;
  };
  EXPECT_EQ(messages(64), (std::vector<size_t>{50, 50, 50}));
  EXPECT_EQ(messages(99), (std::vector<size_t>{50, 50, 50}));
  EXPECT_EQ(messages(100), (std::vector<size_t>{100, 50}));
  EXPECT_EQ(messages(128), (std::vector<size_t>{100, 50}));
}

// ---- what a group says

TEST(TxGroups, says_which_datagrams_a_message_is_made_of) {
  Pile pile;
  pile.add(1, "a0", 100).add(2, "b0", 50).add(1, "a1", 100).add(1, "a2", 30).add(2, "", 0);
  EXPECT_EQ(pile.lines(), (Lines{"1/100: a0 a1 a2", "2: b0", "2: "}));
  EXPECT_EQ(pile.places(0), (Places{0, 2, 3}));
  EXPECT_EQ(pile.places(1), (Places{1}));
  EXPECT_EQ(pile.places(2), (Places{4}));
  EXPECT_EQ(pile.groups[0].bytes, 230u);
  EXPECT_EQ(pile.groups[0].segments, 3);
  EXPECT_EQ(pile.groups[0].segment_size, 100);
  EXPECT_EQ(pile.groups[2].segments, 1);
}

TEST(TxGroups, counts_the_segments_of_what_came_joined) {
  for (bool gso : {true, false}) {
    Pile pile(gso);
    pile.add_joined(1, {"a0", "a1", "a2"}, 100, 30).add(Pile::peer(1), "a3", 100, 100);
    pile.add(Pile::peer(1), "a4", 100, 1200);
    pile.form();
    EXPECT_EQ(pile.groups[0].segments, 3);
    EXPECT_EQ(pile.groups[0].segment_size, 100);
    for (uint32_t group = 1; group < pile.count; group++) {
      EXPECT_EQ(pile.groups[group].segments, pile.places(group).size()) << "one segment is a datagram";
    }
  }
}

TEST(TxGroups, leaves_each_by_itself_without_gso_or_over_the_size_that_was_refused) {
  Pile plain(false);
  plain.add(1, "a0", 100).add(1, "a1", 100).add(2, "b0", 100).add(1, "a2", 100);
  EXPECT_EQ(plain.lines(), (Lines{"1: a0", "1: a1", "2: b0", "1: a2"}));

  Pile limited;
  limited.gso.refused(Pile::peer(1), 100, EMSGSIZE, 2);
  limited.add(1, "a0", 100).add(1, "a1", 100).add(2, "b0", 99).add(2, "b1", 99);
  limited.add(test::address_of("10.0.0.1", 3), "c0", 100).add(test::address_of("10.0.0.1", 3), "c1", 100);
  EXPECT_EQ(limited.lines(), (Lines{"1: a0", "1: a1", "2/99: b0 b1", "3/100: c0 c1"}));
}

// ---- where the payloads lie

TEST(TxGroups, makes_one_piece_of_payloads_that_lie_back_to_back) {
  Pile pile;
  pile.add(1, "a0", 10).add(1, "a1", 10).add(2, "b0", 10).add(1, "a2", 10).add(1, "a3", 10);
  std::vector<Outgoing> messages = pile.form();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].data.size(), 40u);
  EXPECT_EQ(messages[0].pieces, 2u);
  EXPECT_EQ(messages[1].pieces, 1u);
}

// ---- one chunk after the other

TEST(TxGroups, remembers_nothing_of_the_chunk_before) {
  Pile pile;
  for (int round = 0; round < 3; round++) {
    pile.add(1, "a0", 100).add(2, "b0", 100).add(1, "a1", 100);
    EXPECT_EQ(pile.lines(), (Lines{"1/100: a0 a1", "2: b0"}));
    pile.clear();
    pile.add(2, "b1", 100).add(3, "c0", 100).add(2, "b2", 100).add(1, "a2", 100);
    EXPECT_EQ(pile.lines(), (Lines{"2/100: b1 b2", "3: c0", "1: a2"}));
    pile.clear();
  }
  EXPECT_EQ(pile.lines(), Lines{});
}

TEST(TxGroups, takes_a_whole_chunk_of_destinations) {
  Pile pile;
  for (uint32_t i = 0; i < TxGroups::kChunk; i++) pile.add(static_cast<int>(i + 1), "xx", 8);
  std::vector<Outgoing> messages = pile.form();
  ASSERT_EQ(messages.size(), TxGroups::kChunk);
  for (uint32_t i = 0; i < TxGroups::kChunk; i++) ASSERT_EQ(messages[i].to.port, i + 1);
}

}  // namespace
}  // namespace ksocket
