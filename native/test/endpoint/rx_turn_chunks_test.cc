// Large datagrams in memory of JavaScript's own.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/endpoint/rx_turn.h"
#include "support/rx_rig.h"

namespace ksocket {
namespace {

using test::Record;
using test::RxRig;

struct ChunkRig : RxRig {
  using RxRig::RxRig;

  void give(uint32_t place) {
    memory[place] = std::make_unique<uint8_t[]>(kChunkBytes);
    chunks.give(place, memory[place].get(), test::kId);
  }
  void give_all() {
    for (uint32_t place = 0; place < kChunks; place++) give(place);
  }
  RxTurn::Outcome receive_into_chunks() {
    turn.use_chunks(&chunks);
    RxTurn::Outcome outcome = receive();
    turn.use_chunks(nullptr);
    return outcome;
  }
  // A payload that is in a chunk is taken over, or not.
  template <typename TakesOver>
  std::vector<Record> take_any(TakesOver&& takes_over, uint32_t budget = test::RingReader::kNoLimit) {
    std::vector<Record> records = take(budget);
    for (Record& record : records) {
      if ((record.descriptor.flags & kInChunk) == 0) continue;
      in_chunks++;
      uint32_t place = record.descriptor.flags >> kChunkShift;
      record.data.assign(reinterpret_cast<const char*>(memory[place].get()), record.descriptor.length);
      if (takes_over()) give(place);
    }
    return records;
  }

  Chunks chunks;
  std::unique_ptr<uint8_t[]> memory[kChunks];
  size_t in_chunks = 0;
};
constexpr auto kTakesOver = [] { return true; };

TEST(RxTurnChunks, get_datagrams_of_half_their_size_and_more_on_average) {
  for (auto [bytes, in_chunks] : {std::pair{kChunkBytes / 2 - 1, 0u}, {kChunkBytes / 2, 2u}}) {
    ChunkRig rig;
    rig.give_all();
    rig.arrive(std::string(bytes, 'x'));
    rig.receive_into_chunks();
    rig.take_any(kTakesOver);
    EXPECT_EQ(rig.in_chunks, 0u) << "nothing was known of them";
    rig.arrive(std::string(kDatagramBytesMax, 'y'));
    rig.arrive(std::string(bytes, 'z'), 1, 1400);
    rig.receive_into_chunks();
    auto records = rig.take_any(kTakesOver);
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(rig.in_chunks, in_chunks);
    EXPECT_EQ(records[0].data, std::string(kDatagramBytesMax, 'y'));
    EXPECT_EQ(records[1].data, std::string(bytes, 'z'));
    EXPECT_EQ(records[1].descriptor.segment_size, 1400);
  }
}

TEST(RxTurnChunks, get_nothing_small_and_nothing_on_a_turn_without_them) {
  ChunkRig rig;
  rig.give_all();
  rig.arrive(std::string(60'000, 'x'));
  rig.receive_into_chunks();
  rig.arrive(std::string(60'000, 'y'));
  rig.receive();
  rig.arrive("small");
  rig.arrive(std::string(60'000, 'z'));
  rig.receive_into_chunks();
  auto records = rig.take_any(kTakesOver);
  EXPECT_EQ(rig.in_chunks, 1u);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[2].data, "small");
  EXPECT_EQ(records[3].data, std::string(60'000, 'z'));
}

// On a turn with chunks, which is the event loop's own.
TEST(RxTurnChunks, leave_smaller_ones_to_the_ring_in_place_while_no_more_than_half_of_it_waits) {
  ChunkRig rig(4096, 2 * 40 * RxBatch::kStride);
  rig.endpoint.drop_when_full = true;
  uint32_t sparse = 0;
  auto receive = [&] {
    for (int n = 0; n < 10; n++) rig.arrive(std::string(8192, 'x'));
    rig.receive_into_chunks();
    return rig.engine.offered();
  };
  EXPECT_EQ(receive(), RxBatch::kSlots) << "nothing was known of them";
  while (receive() == 40) sparse++;
  EXPECT_EQ(sparse, 5u) << "nine places each and one datagram, and less than 40 places before the last";
  for (int i = 0; i < 5; i++) EXPECT_EQ(receive(), RxBatch::kSlots);
  rig.take();
  EXPECT_EQ(receive(), 40u);
  EXPECT_EQ(rig.take().size(), 10u);
}

TEST(RxTurnChunks, are_offered_as_far_as_nobody_holds_them) {
  ChunkRig rig;
  rig.give_all();
  for (int i = 0; i < 3; i++) rig.arrive(std::string(60'000, 'x'));
  rig.receive_into_chunks();
  rig.take();
  for (int i = 0; i < 6; i++) rig.arrive(std::string(60'000, 'x'));
  rig.receive_into_chunks();
  EXPECT_EQ(rig.engine.offered(), kChunks);
  rig.arrive(std::string(60'000, 'x'));
  rig.receive_into_chunks();
  EXPECT_EQ(rig.engine.offered(), kChunks - 6);
  EXPECT_TRUE(rig.turn.take_round().large);
}

TEST(RxTurnChunks, deliver_what_comes_in_order_and_whole_whoever_takes_it_over) {
  std::mt19937 random(11);
  ChunkRig rig(256, 2 << 20);
  std::vector<std::string> sent, received;
  bool large = true;
  auto takes_over = [&] { return random() % 16 != 0; };
  auto take = [&](uint32_t budget) {
    if (random() % 4 == 0) rig.chunks.give_to(test::kId);
    for (Record& record : rig.take_any(takes_over, budget)) received.push_back(std::move(record.data));
  };
  rig.give_all();
  for (int round = 0; round < 2000; round++) {
    if (random() % 8 == 0) large = !large;
    for (uint32_t i = 0, n = random() % 12; i < n; i++) {
      size_t bytes = large ? 40'000 + random() % 25'500 : random() % 20'000;
      std::string data(bytes, static_cast<char>('a' + random() % 26));
      rig.arrive(data, static_cast<uint16_t>(1000 + random() % 8), bytes > 1400 ? 1400 : 0);
      sent.push_back(std::move(data));
    }
    if (random() % 8 == 0) {
      rig.receive();
    } else {
      rig.receive_into_chunks();
    }
    take(random() % 3 == 0 ? random() % 8 : test::RingReader::kNoLimit);
  }
  for (int i = 0; i < 20'000 && received.size() < sent.size(); i++) {
    rig.receive_into_chunks();
    take(test::RingReader::kNoLimit);
  }
  ASSERT_EQ(received.size(), sent.size());
  for (size_t i = 0; i < sent.size(); i++) ASSERT_TRUE(received[i] == sent[i]) << i;
  EXPECT_GT(rig.in_chunks, 1000u);
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 0u);
}

TEST(RxTurnChunks, count_what_the_ring_of_a_socket_that_drops_has_no_room_for) {
  ChunkRig rig(4, 2 << 20);
  rig.endpoint.drop_when_full = true;
  rig.give_all();
  for (int i = 0; i < 3; i++) rig.arrive(std::string(60'000, 'x'), 1, 1400);
  rig.receive_into_chunks();
  for (int i = 0; i < 4; i++) rig.arrive(std::string(60'000, 'x'), 1, 1400);
  rig.receive_into_chunks();
  EXPECT_EQ(rig.take_any(kTakesOver).size(), 4u);
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 3u * 43);
}

}  // namespace
}  // namespace ksocket
