#include "core/tunnel/forwarding_table.h"

#include <gtest/gtest.h>

namespace ksocket {
namespace {

using Learned = ForwardingTable::Learned;
constexpr uint64_t kAge = 300;

TEST(ForwardingTable, finds_where_an_address_was_heard_of_last) {
  ForwardingTable table(10, kAge);
  EXPECT_EQ(table.find(1, 0), ForwardingTable::kUnknown);
  EXPECT_EQ(table.learn(1, 7, 0), Learned::added);
  EXPECT_EQ(table.find(1, 0), 7u);
  EXPECT_EQ(table.learn(1, 7, 1), Learned::known);
  EXPECT_EQ(table.learn(1, 8, 2), Learned::moved);
  EXPECT_EQ(table.find(1, 2), 8u);
}

TEST(ForwardingTable, forgets_what_was_not_heard_of_for_long) {
  ForwardingTable table(10, kAge);
  table.learn(1, 7, 0);
  table.learn(2, 7, 100);
  EXPECT_EQ(table.find(1, kAge), 7u);
  EXPECT_EQ(table.find(1, kAge + 1), ForwardingTable::kUnknown);
  table.forget_old(kAge + 1);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.find(2, kAge + 1), 7u);
}

TEST(ForwardingTable, is_bounded_and_has_room_again) {
  ForwardingTable table(2, kAge);
  table.set(100, 1);
  EXPECT_EQ(table.learn(1, 7, 0), Learned::added);
  EXPECT_EQ(table.learn(2, 7, 200), Learned::added);
  EXPECT_EQ(table.learn(3, 7, 200), Learned::full);
  EXPECT_EQ(table.find(3, 200), ForwardingTable::kUnknown);
  table.forget_old(kAge + 1);
  EXPECT_EQ(table.learn(3, 7, kAge + 1), Learned::added);
}

TEST(ForwardingTable, what_was_told_nobody_else_can_say_of_himself) {
  ForwardingTable table(2, kAge);
  table.set(1, 5);
  EXPECT_EQ(table.learn(1, 6, 0), Learned::refused);
  EXPECT_EQ(table.learn(1, 5, 0), Learned::known);
  table.forget_old(UINT64_MAX / 2);
  EXPECT_EQ(table.find(1, UINT64_MAX / 2), 5u);
}

TEST(ForwardingTable, what_was_told_twice_takes_no_room_from_others) {
  ForwardingTable table(1, kAge);
  table.set(1, 5);
  table.set(1, 6);
  EXPECT_EQ(table.learn(2, 7, 0), Learned::added);
  EXPECT_EQ(table.learn(3, 7, 0), Learned::full);
  EXPECT_EQ(table.find(1, 0), 6u);
}

TEST(ForwardingTable, knows_groups) {
  uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255}, multicast[6] = {1, 0, 0x5e, 0, 0, 1},
          one[6] = {2, 0, 0, 0, 0, 1};
  EXPECT_TRUE(ForwardingTable::is_group(broadcast) && ForwardingTable::is_group(multicast));
  EXPECT_FALSE(ForwardingTable::is_group(one));
}

}  // namespace
}  // namespace ksocket
