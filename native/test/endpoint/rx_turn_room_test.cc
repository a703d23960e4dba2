// How far a turn of receiving goes, and what it does where there is little room.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/endpoint/rx_turn.h"
#include "support/rx_rig.h"

namespace ksocket {
namespace {

using test::address_of;
using test::data_of;
using test::Record;
using test::RxRig;
using Outcome = RxTurn::Outcome;

// ---- how far a turn goes

TEST(RxTurn, reads_a_batch_a_turn) {
  RxRig rig;
  for (uint32_t i = 0; i < RxBatch::kSlots + 1; i++) rig.arrive(std::to_string(i));
  EXPECT_EQ(rig.receive(), Outcome::more);
  EXPECT_EQ(rig.take().size(), RxBatch::kSlots);
  EXPECT_EQ(rig.receive(), Outcome::drained);
  EXPECT_EQ(rig.take().size(), 1u);
  EXPECT_EQ(rig.receive(), Outcome::drained);
  EXPECT_EQ(rig.counters[Counter::rx_errors], 0u);
  EXPECT_EQ(rig.counters[Counter::rx_calls], 3u);
  EXPECT_EQ(rig.counters[Counter::rx_batches], 2u);
}

// The kernel overwrites the headers it uses.
TEST(RxTurn, prepares_its_buffers_again_for_the_next_batch) {
  RxRig rig;
  for (int round = 0; round < 5; round++) {
    for (uint16_t i = 0; i < 40; i++) rig.engine.arrive(rig.fd(), {"x", address_of("::1", i), 0, {}, 0});
    rig.arrive(std::string(65507, 'y'), 9, 1400);
    rig.arrive("plain", 8);
    rig.receive();
    auto records = rig.take();
    ASSERT_EQ(records.size(), 42u);
    EXPECT_EQ(records[0].descriptor.family, 6);
    EXPECT_EQ(records[40].descriptor.segment_size, 1400);
    EXPECT_EQ(records[40].data.size(), 65507u);
    EXPECT_EQ(records[41].descriptor.segment_size, 0);
    EXPECT_EQ(records[41].descriptor.family, 4);
  }
}

// ---- a full ring

TEST(RxTurn, reads_nothing_that_the_ring_could_not_take) {
  RxRig rig(256, 3 * kDatagramBytesMax);
  for (int i = 0; i < 10; i++) rig.arrive(std::string(100, static_cast<char>('a' + i)));
  EXPECT_EQ(rig.receive(), Outcome::more);
  EXPECT_EQ(rig.engine.offered(), 3u) << "room for three of the largest";
  EXPECT_EQ(rig.engine.waiting(rig.fd()), 7u);
  // Three small ones leave room for two more of the largest, and so on.
  while (rig.receive() == Outcome::more) {
  }
  EXPECT_EQ(rig.engine.waiting(rig.fd()), 10u - rig.take().size());
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 0u);
}

TEST(RxTurn, says_that_the_ring_is_full_without_asking_the_kernel) {
  RxRig rig(4);
  for (int i = 0; i < 10; i++) rig.arrive(std::to_string(i));
  EXPECT_EQ(rig.receive(), Outcome::more);
  EXPECT_EQ(rig.receive(), Outcome::ring_full);
  EXPECT_EQ(rig.engine.receive_calls(), 1u);
  EXPECT_EQ(data_of(rig.take(1)), std::vector<std::string>{"0"});
  EXPECT_EQ(rig.receive(), Outcome::more);
  EXPECT_EQ(rig.receive(), Outcome::ring_full);
  EXPECT_EQ(data_of(rig.take()), (std::vector<std::string>{"1", "2", "3", "4"}));
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 0u);
  EXPECT_EQ(rig.engine.waiting(rig.fd()), 5u);
}

// ---- super-datagrams

// Once large ones come they are received into the ring itself; whatever comes then, records and counters are
// the same.
TEST(RxTurn, delivers_large_and_small_in_any_mixture) {
  std::mt19937 random(7);
  RxRig rig(256, 2 << 20);
  std::vector<std::string> sent, received;
  bool large = true;
  for (int round = 0; round < 2000; round++) {
    if (random() % 8 == 0) large = !large;
    for (uint32_t i = 0, n = random() % 48; i < n; i++) {
      size_t bytes = large ? 60'000 + random() % 5'500 : random() % 1500;
      if (random() % 16 == 0) bytes = random() % 65'507;
      std::string data(bytes, static_cast<char>('a' + random() % 26));
      rig.arrive(data, static_cast<uint16_t>(1000 + random() % 8), bytes > 1400 ? 1400 : 0);
      sent.push_back(std::move(data));
    }
    Outcome outcome = rig.receive();
    ASSERT_NE(outcome, Outcome::dead);
    for (Record& record : rig.take(random() % 3 == 0 ? random() % 8 : test::RingReader::kNoLimit)) {
      ASSERT_EQ(record.descriptor.segment_size, record.data.size() > 1400 ? 1400 : 0);
      received.push_back(std::move(record.data));
    }
  }
  for (int i = 0; i < 20'000 && received.size() < sent.size(); i++) {
    rig.receive();
    for (Record& record : rig.take()) received.push_back(std::move(record.data));
  }
  ASSERT_EQ(received.size(), sent.size());
  for (size_t i = 0; i < sent.size(); i++) ASSERT_TRUE(received[i] == sent[i]) << i;
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 0u);
}

TEST(RxTurn, receives_large_ones_a_few_at_a_time_and_small_ones_by_the_batch) {
  RxRig rig;
  rig.arrive(std::string(60'000, 'x'), 1, 1400);
  rig.receive();
  EXPECT_EQ(rig.engine.offered(), RxBatch::kSlots);
  rig.arrive("small", 1);
  rig.receive();
  EXPECT_LT(rig.engine.offered(), RxBatch::kSlots);
  rig.take();
  rig.receive();
  rig.arrive("small", 1);
  rig.receive();
  EXPECT_EQ(rig.engine.offered(), RxBatch::kSlots);
  EXPECT_EQ(data_of(rig.take()), std::vector<std::string>{"small"});
}

TEST(RxTurn, receives_as_many_into_the_ring_as_a_cache_holds_once_they_have_6_KiB_on_average) {
  using Row = std::pair<uint32_t, uint32_t>;
  for (auto [bytes, places] :
       {Row{6143, RxBatch::kSlots}, {6144, 50}, {8192, 48}, {16'384, 24}, {60'000, 8}}) {
    RxRig rig(256, 2 * 50 * RxBatch::kStride);
    rig.arrive(std::string(bytes - 1000, 'x'));
    rig.arrive(std::string(bytes + 1000, 'x'));
    rig.receive();
    EXPECT_EQ(rig.take().size(), 2u);
    rig.arrive("next");
    rig.receive();
    EXPECT_EQ(rig.engine.offered(), places) << bytes;
    EXPECT_EQ(data_of(rig.take()), std::vector<std::string>{"next"});
  }
}

// Or a ring of 8 MiB would be full of 128 datagrams.
TEST(RxTurn, packs_those_that_would_leave_much_of_their_places_unused_while_something_waits) {
  for (uint32_t bytes : {6144u, 16'384u}) {
    RxRig rig(4096, 8 << 20);
    uint32_t sent = 0;
    for (int i = 0; i < 100; i++) {
      for (int n = 0; n < 20; n++, sent++) rig.arrive(std::string(bytes, 'x'));
      rig.receive();
    }
    // All of the arena, but for the places of one batch, and room for the largest that is kept free.
    uint32_t least = ((8 << 20) - 20 * RxBatch::kStride - 2 * kDatagramBytesMax) / bytes;
    EXPECT_GE(rig.take().size(), std::min(sent, least)) << bytes;
  }
}

TEST(RxTurn, takes_no_more_than_half_of_a_small_ring_for_places_that_are_half_empty) {
  RxRig rig(256, 8 * RxBatch::kStride);
  for (auto [bytes, places] : {std::pair{8192u, 4u}, {60'000u, 8u}}) {
    rig.arrive(std::string(bytes, 'x'));
    rig.receive();
    rig.take();
    rig.arrive(std::string(bytes, 'x'));
    rig.receive();
    EXPECT_EQ(rig.engine.offered(), places) << bytes;
    rig.take();
  }
}

TEST(RxTurn, says_that_the_kernel_had_more_than_one_call_takes) {
  RxRig rig;
  auto is_full = [&](int datagrams, const std::string& data) {
    for (int i = 0; i < datagrams; i++) rig.arrive(data, 1);
    rig.receive();
    rig.take();
    return rig.turn.take_round().filled;
  };
  EXPECT_FALSE(is_full(RxBatch::kSlots - 1, "small"));
  EXPECT_TRUE(is_full(RxBatch::kSlots, "small"));
  const std::string large(60'000, 'x');
  EXPECT_FALSE(is_full(1, large)) << "from now on fewer places are offered";
  EXPECT_FALSE(is_full(7, large));
  EXPECT_TRUE(is_full(8, large));
}

TEST(RxTurn, says_that_few_places_were_offered_as_datagrams_are_large) {
  RxRig rig;
  auto is_large = [&](size_t bytes) {
    rig.arrive(std::string(bytes, 'x'), 1);
    rig.receive();
    rig.take();
    return rig.turn.take_round().large;
  };
  EXPECT_FALSE(is_large(60'000));
  EXPECT_TRUE(is_large(60'000));
  EXPECT_TRUE(is_large(100)) << "it is told of the batch before";
  EXPECT_FALSE(is_large(100));
  EXPECT_FALSE(is_large(16'383));
  EXPECT_FALSE(is_large(16'384)) << "in place, and not large";
  EXPECT_TRUE(is_large(100));
}

TEST(RxTurn, resizes_the_receive_buffer_by_what_it_reads) {
  RxRig rig;
  Fd socket;
  ASSERT_EQ(open_datagram(4, &socket), 0);
  auto size = [&] {
    int bytes = 0;
    EXPECT_EQ(get_option(rig.fd(), 4, SocketOption::receive_buffer_bytes, &bytes), 0);
    return bytes;
  };
  rig.endpoint.fd = std::move(socket);
  int initial = size();
  auto fill = [&](uint32_t messages) {
    for (uint32_t i = 0; i < messages; i++) rig.arrive(std::string(60'000, 'x'), 1);
    rig.receive();
    rig.take();
  };
  fill(1);
  EXPECT_EQ(size(), initial);
  fill(2);
  int large = size();
  EXPECT_GT(large, initial);
  for (int i = 0; i < 100; i++) fill(8);
  EXPECT_EQ(size(), large);
  for (int i = 0; i < 100; i++) {
    rig.endpoint.counters.add(Counter::rx_kernel_drops, 1);
    fill(8);
  }
  EXPECT_LT(size(), large);
}

// Cutting makes many records of one message: they need room as well.
TEST(RxTurn, loses_nothing_of_super_datagrams_that_it_cuts_while_the_ring_fills_up) {
  RxRig rig(128);
  rig.endpoint.keep_bytes_max = 2;
  constexpr uint32_t kMessages = 20, kSegments = 40;
  for (uint32_t i = 0; i < kMessages; i++) rig.arrive(std::string(kSegments * 10, 'x'), 1, 10);
  uint32_t seen = 0;
  for (int turn = 0; turn < 1000 && seen < kMessages * kSegments; turn++) {
    if (rig.receive() == Outcome::ring_full) seen += static_cast<uint32_t>(rig.take().size());
    if (rig.engine.waiting(rig.fd()) == 0) seen += static_cast<uint32_t>(rig.take().size());
  }
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 0u);
  EXPECT_EQ(seen, kMessages * kSegments);
}

TEST(RxTurn, counts_what_it_drops_when_told_to_drop) {
  RxRig rig(4);
  rig.endpoint.drop_when_full = true;
  for (int i = 0; i < 3; i++) rig.arrive(std::to_string(i));
  rig.arrive(std::string(250, 'x'), 1, 100);
  rig.arrive(std::string(250, 'y'), 1, 100);
  rig.arrive("late");
  EXPECT_EQ(rig.receive(), Outcome::drained);
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 4u) << "three segments and one datagram";
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], 10u);
  EXPECT_EQ(rig.take().size(), 4u);
  rig.arrive("next");
  rig.receive();
  EXPECT_EQ(data_of(rig.take()), std::vector<std::string>{"next"});
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 4u);
}

TEST(RxTurn, goes_on_reading_a_dropping_socket_while_the_ring_is_full) {
  RxRig rig(2);
  rig.endpoint.drop_when_full = true;
  for (int i = 0; i < 500; i++) rig.arrive("x");
  while (rig.receive() == Outcome::more) {
  }
  EXPECT_EQ(rig.engine.waiting(rig.fd()), 0u);
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 498u);
}

// A datagram that was dropped must not have used up the news of its peer.
TEST(RxTurn, announces_a_peer_with_its_first_record_not_with_a_dropped_one) {
  RxRig rig(1);
  rig.endpoint.drop_when_full = true;
  rig.arrive("kept", 1);
  rig.arrive("dropped", 2);
  rig.receive();
  EXPECT_EQ(rig.take().size(), 1u);
  rig.arrive("kept", 2);
  rig.receive();
  auto records = rig.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].descriptor.flags, 0);
}

}  // namespace
}  // namespace ksocket
