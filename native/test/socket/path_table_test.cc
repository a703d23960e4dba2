#include "core/socket/path_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace ksocket {
namespace {

TEST(PathTable, gives_a_name_one_number) {
  PathTable table(8);
  uint64_t one = table.number_of("/run/one"), two = table.number_of("/run/two");
  EXPECT_NE(one, 0u);
  EXPECT_NE(one, two);
  EXPECT_EQ(table.number_of("/run/one"), one);
  EXPECT_EQ(table.name_of(one), "/run/one");
  EXPECT_EQ(table.name_of(two), "/run/two");
}

TEST(PathTable, keeps_abstract_names_whole) {
  PathTable table(8);
  std::string name("\0a\0b", 4), other("\0a\0c", 4);
  EXPECT_NE(table.number_of(name), table.number_of(other));
  EXPECT_EQ(table.name_of(table.number_of(name)), name);
  char out[108];
  ASSERT_EQ(table.copy_name(table.number_of(other), out), 4u);
  EXPECT_EQ(std::string(out, 4), other);
}

TEST(PathTable, has_no_number_for_no_name_and_no_name_for_no_number) {
  PathTable table(8);
  EXPECT_EQ(table.number_of(""), 0u);
  EXPECT_EQ(table.name_of(0), "");
  table.number_of("/run/one");
  EXPECT_EQ(table.name_of(0), "");
  EXPECT_EQ(table.name_of(UINT64_MAX), "");
  EXPECT_FALSE(table.hold(uint64_t{7} << 32 | 5));
}

TEST(PathTable, forgets_what_was_not_used_for_the_longest_time) {
  PathTable table(3);
  uint64_t a = table.number_of("a"), b = table.number_of("b"), c = table.number_of("c");
  EXPECT_EQ(table.name_of(a), "a");  // used: now b is the oldest
  uint64_t d = table.number_of("d");
  EXPECT_EQ(table.name_of(b), "");
  EXPECT_EQ(table.name_of(a), "a");
  EXPECT_EQ(table.name_of(c), "c");
  EXPECT_EQ(table.name_of(d), "d");
  EXPECT_NE(table.number_of("b"), b);  // what it was once stands for nothing
  EXPECT_EQ(table.name_of(b), "");
}

TEST(PathTable, keeps_what_is_held) {
  PathTable table(2);
  uint64_t held = table.hold("held");
  ASSERT_TRUE(table.hold(held));
  for (int i = 0; i < 10; i++) table.number_of("other " + std::to_string(i));
  EXPECT_EQ(table.name_of(held), "held");
  table.release(held);  // once more
  for (int i = 0; i < 10; i++) table.number_of("again " + std::to_string(i));
  EXPECT_EQ(table.name_of(held), "held");
  table.release(held);
  for (int i = 0; i < 2; i++) table.number_of("third " + std::to_string(i));
  EXPECT_EQ(table.name_of(held), "");
}

TEST(PathTable, has_no_room_where_all_are_held) {
  PathTable table(2);
  table.hold("a");
  uint64_t b = table.hold("b");
  EXPECT_EQ(table.number_of("c"), 0u);
  table.release(b);
  EXPECT_NE(table.number_of("c"), 0u);
}

// Against a list.
TEST(PathTable, is_what_a_list_would_be) {
  constexpr size_t kMax = 16;
  PathTable table(kMax);
  std::vector<std::pair<std::string, uint64_t>> by_use;  // the oldest first
  uint64_t random = 1;
  for (int i = 0; i < 20000; i++) {
    random = random * 6364136223846793005 + 1442695040888963407;
    std::string name = "/tmp/socket-" + std::to_string((random >> 33) % 40);
    uint64_t number = table.number_of(name);
    auto at =
        std::find_if(by_use.begin(), by_use.end(), [&](const auto& each) { return each.first == name; });
    if (at != by_use.end()) {
      ASSERT_EQ(at->second, number);
      by_use.erase(at);
    } else if (by_use.size() == kMax) {
      ASSERT_EQ(table.name_of(by_use.front().second), "");
      by_use.erase(by_use.begin());
    }
    by_use.emplace_back(name, number);
  }
  for (const auto& [name, number] : by_use) EXPECT_EQ(table.name_of(number), name);
}

}  // namespace
}  // namespace ksocket
