#include "core/memory/chunks.h"

#include <gtest/gtest.h>

#include <vector>

namespace ksocket {
namespace {

constexpr uint32_t kSocket = 7;

struct Given : Chunks {
  Given() {
    for (uint32_t place = 0; place < kChunks; place++) give(place, &memory[place], kSocket);
  }
  std::vector<uint32_t> free(uint32_t consumed, uint32_t socket_id = kSocket, uint32_t wanted = kChunks) {
    std::vector<uint32_t> places;
    for (const Free& each : find_free(socket_id, wanted, consumed)) {
      EXPECT_EQ(each.memory, &memory[each.place]);
      places.push_back(each.place);
    }
    return places;
  }
  uint8_t memory[kChunks + 1] = {};
};

TEST(Chunks, are_for_the_socket_that_they_were_given_for_and_no_more_than_wanted) {
  Chunks none;
  EXPECT_TRUE(none.find_free(0, 8, 0).empty());
  EXPECT_TRUE(none.find_free(kSocket, 8, 0).empty());
  Given chunks;
  EXPECT_EQ(chunks.free(0), (std::vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(chunks.free(0, kSocket, 2), (std::vector<uint32_t>{0, 1}));
  EXPECT_TRUE(chunks.free(0, kSocket + 1).empty());
  chunks.give_to(kSocket + 1);
  EXPECT_TRUE(chunks.free(0).empty());
  EXPECT_EQ(chunks.free(0, kSocket + 1).size(), kChunks);
}

TEST(Chunks, are_held_until_their_record_is_taken_over) {
  Given chunks;
  chunks.hold(0, 10);
  chunks.hold(3, 11);
  EXPECT_EQ(chunks.free(10), (std::vector<uint32_t>{1, 2, 4, 5, 6, 7}));
  chunks.give(3, &chunks.memory[3], kSocket);
  EXPECT_EQ(chunks.free(10), (std::vector<uint32_t>{1, 2, 3, 4, 5, 6, 7}));
}

// The listener that reads it copies: then the ring is as good.
TEST(Chunks, are_nobodys_once_one_was_passed_and_not_taken_over) {
  Given chunks;
  chunks.hold(2, UINT32_MAX);
  EXPECT_EQ(chunks.free(UINT32_MAX).size(), kChunks - 1) << "the record is the next to be read";
  EXPECT_TRUE(chunks.free(0).empty());
  EXPECT_TRUE(chunks.free(0).empty());
  chunks.give_to(kSocket);
  EXPECT_EQ(chunks.free(0).size(), kChunks) << "until somebody asks for them again";
}

}  // namespace
}  // namespace ksocket
