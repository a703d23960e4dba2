#include "core/memory/rx_ring.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/ring.h"

namespace ksocket {
namespace {

using test::Ring;

TEST(RxRing, hands_over_records_in_order_with_their_payload) {
  Ring ring(8, 1024);
  for (const char* text : {"one", "two", "", "four"}) ASSERT_GE(ring.put(text), 0);
  EXPECT_EQ(ring.take(), (std::vector<std::string>{"one", "two", "", "four"}));
  EXPECT_TRUE(ring.take().empty());
}

TEST(RxRing, packs_payloads_back_to_back) {
  Ring ring(8, 1024);
  EXPECT_EQ(ring.put(100), 0);
  EXPECT_EQ(ring.put(1), 100);
  EXPECT_EQ(ring.put(64), 101);
}

TEST(RxRing, shows_nothing_before_it_is_published) {
  Ring ring(8, 1024);
  Descriptor* record = ring.producer.push(3);
  ASSERT_NE(record, nullptr);
  std::memcpy(ring.producer.payload(*record), "abc", 3);
  EXPECT_TRUE(ring.producer.has_unpublished());
  EXPECT_TRUE(ring.take().empty());
  ring.producer.publish();
  EXPECT_FALSE(ring.producer.has_unpublished());
  EXPECT_EQ(ring.take(), std::vector<std::string>{"abc"});
}

TEST(RxRing, asks_for_one_wake_up_until_the_consumer_comes) {
  Ring ring(8, 1024);
  ASSERT_NE(ring.producer.push(1), nullptr);
  EXPECT_TRUE(ring.producer.publish());
  ASSERT_NE(ring.producer.push(1), nullptr);
  EXPECT_FALSE(ring.producer.publish());
  ring.take();
  ASSERT_NE(ring.producer.push(1), nullptr);
  EXPECT_TRUE(ring.producer.publish());
}

TEST(RxRing, asks_for_no_wake_up_while_the_consumer_comes_back_by_itself) {
  Ring ring(8, 1024);
  ring.put("one");
  ring.put("two");
  EXPECT_EQ(ring.take(1), std::vector<std::string>{"one"});
  ASSERT_NE(ring.producer.push(0), nullptr);
  EXPECT_FALSE(ring.producer.publish());
  EXPECT_EQ(ring.take(), (std::vector<std::string>{"two", ""}));
}

TEST(RxRing, has_as_many_records_as_slots) {
  Ring ring(4, 1024);
  for (int i = 0; i < 4; i++) EXPECT_GE(ring.put(1), 0);
  EXPECT_EQ(ring.producer.room(4, 1), 0u);
  EXPECT_EQ(ring.put(1), -1);
  EXPECT_EQ(ring.take(1).size(), 1u);
  EXPECT_EQ(ring.producer.room(4, 1), 1u);
  EXPECT_GE(ring.put(1), 0);
  EXPECT_EQ(ring.put(1), -1);
}

TEST(RxRing, can_be_filled_to_the_last_byte) {
  Ring ring(8, 256);
  EXPECT_EQ(ring.producer.room(1, 256), 1u);
  EXPECT_EQ(ring.put(256, 'a'), 0);
  EXPECT_EQ(ring.producer.room(1, 1), 0u);
  EXPECT_EQ(ring.put(1), -1);
  EXPECT_EQ(ring.take(), std::vector<std::string>{std::string(256, 'a')});
  EXPECT_EQ(ring.producer.room(8, 32), 8u);
}

TEST(RxRing, leaves_a_quarter_to_others_than_the_socket_that_crowds_it) {
  Ring ring(8, 1024);
  RingControl& control = *ring.buffers.memory().control;
  for (int i = 0; i < 6; i++) ring.put("x");
  control.crowding = 7;
  EXPECT_FALSE(ring.producer.yields(7)) << "three quarters of the places";
  ring.put("x");
  EXPECT_TRUE(ring.producer.yields(7));
  EXPECT_FALSE(ring.producer.yields(8)) << "another socket";
  control.crowding = 0;
  EXPECT_FALSE(ring.producer.yields(7)) << "nobody crowds it any more";
  control.crowding = 7;
  ring.take(1);
  ring.producer.publish();
  EXPECT_FALSE(ring.producer.yields(7)) << "one has been consumed";
  ring.take();
  ring.producer.publish();
  ring.put(700);
  EXPECT_FALSE(ring.producer.yields(7));
  ring.put(100);
  EXPECT_TRUE(ring.producer.yields(7)) << "three quarters of the bytes";
}

TEST(RxRing, leaves_nothing_to_others_once_the_consumer_has_caught_up) {
  Ring ring(8, 1024);
  for (int i = 0; i < 7; i++) ring.put("x");
  ring.buffers.memory().control->crowding = 7;
  EXPECT_TRUE(ring.producer.yields(7));
  ring.take();
  EXPECT_FALSE(ring.producer.yields(7)) << "though nothing was published since";
}

TEST(RxRing, refuses_a_record_longer_than_the_arena) {
  Ring ring(8, 256);
  EXPECT_EQ(ring.producer.room(1, 257), 0u);
  EXPECT_EQ(ring.put(257), -1);
  EXPECT_EQ(ring.put(256), 0);
}

TEST(RxRing, goes_to_the_start_of_the_arena_with_what_does_not_fit_at_its_end) {
  Ring ring(8, 100);
  EXPECT_EQ(ring.put(60, 'a'), 0);
  EXPECT_EQ(ring.put(30, 'b'), 60);
  EXPECT_EQ(ring.take(1).size(), 1u);
  ASSERT_EQ(ring.producer.room(1, 20), 1u);
  EXPECT_EQ(ring.put(20, 'c'), 0);  // ten bytes at the end are too few
  EXPECT_EQ(ring.put(20, 'd'), 20);
  EXPECT_EQ(ring.take(),
            (std::vector<std::string>{std::string(30, 'b'), std::string(20, 'c'), std::string(20, 'd')}));
}

TEST(RxRing, never_catches_up_with_the_oldest_record) {
  Ring ring(8, 100);
  ring.put(60, 'a');
  ring.put(30, 'b');
  ring.take(1);
  ASSERT_EQ(ring.producer.room(1, 59), 1u);
  // Sixty bytes would end where the oldest record starts: full would look like empty.
  EXPECT_EQ(ring.producer.room(1, 60), 0u);
  EXPECT_EQ(ring.put(60, 'c'), -1);
  EXPECT_EQ(ring.put(59, 'c'), 0);
  EXPECT_EQ(ring.put(1, 'd'), -1);
  EXPECT_EQ(ring.take(), (std::vector<std::string>{std::string(30, 'b'), std::string(59, 'c')}));
}

TEST(RxRing, takes_empty_records_even_when_the_arena_is_full) {
  Ring ring(8, 16);
  EXPECT_EQ(ring.put(16), 0);
  EXPECT_EQ(ring.put(0), 16);
  EXPECT_EQ(ring.put(0), 16);
  EXPECT_EQ(ring.put(1), -1);
  EXPECT_EQ(ring.take(2).size(), 2u);
  // The oldest record is now an empty one at the very end.
  ASSERT_EQ(ring.producer.room(1, 15), 1u);
  EXPECT_EQ(ring.put(15, 'y'), 0);
  EXPECT_EQ(ring.take(), (std::vector<std::string>{"", std::string(15, 'y')}));
}

TEST(RxRing, is_full_of_empty_records_when_its_slots_are) {
  Ring ring(16, 64);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 16; i++) ASSERT_EQ(ring.put(0), 0);
    EXPECT_EQ(ring.put(0), -1);
    EXPECT_EQ(ring.take().size(), 16u);
    EXPECT_EQ(ring.producer.room(16, 4), 16u);
  }
}

TEST(RxRing, carries_the_largest_super_datagram) {
  Ring ring(4, kDatagramBytesMax + 100);
  for (char fill : {'a', 'b', 'c'}) {
    ASSERT_EQ(ring.producer.room(1, kDatagramBytesMax), 1u);
    ASSERT_GE(ring.put(kDatagramBytesMax, fill), 0);
    EXPECT_EQ(ring.producer.room(1, kDatagramBytesMax), 0u);
    EXPECT_EQ(ring.take(), std::vector<std::string>{std::string(kDatagramBytesMax, fill)});
  }
}

TEST(RxRing, starts_over_at_the_front_whenever_the_consumer_has_caught_up) {
  Ring ring(8, 1024);
  for (uint32_t round = 0; round < 20; round++) {
    ASSERT_GT(ring.producer.room(3, 100), 0u);
    EXPECT_EQ(ring.put(100), 0) << "round " << round;
    EXPECT_EQ(ring.put(50), 100);
    EXPECT_EQ(ring.put(0), 150);
    EXPECT_EQ(ring.buffers.control().base, round * 3);
    EXPECT_EQ(ring.buffers.control().head, round * 3 + 3);
    EXPECT_EQ(ring.take().size(), 3u);
  }
}

TEST(RxRing, does_not_start_over_under_a_consumer_that_is_behind) {
  Ring ring(4, 64);
  ring.put("one");
  ring.put("two");
  ring.take(1);
  ASSERT_GT(ring.producer.room(1, 8), 0u);
  EXPECT_EQ(ring.put("three"), 6);
  EXPECT_EQ(ring.buffers.control().base, 0u);
  EXPECT_EQ(ring.take(), (std::vector<std::string>{"two", "three"}));
}

TEST(RxRing, reports_no_more_room_than_was_asked_for) {
  Ring ring(64, 4096);
  EXPECT_EQ(ring.producer.room(3, 1), 3u);
  EXPECT_EQ(ring.producer.room(64, 1), 64u);
  EXPECT_EQ(ring.producer.room(1000, 1), 64u);
  EXPECT_EQ(ring.producer.room(64, 1000), 4u);
  EXPECT_EQ(ring.producer.room(64, 4096), 1u);
}

TEST(RxRing, waits_for_room_only_while_there_is_none) {
  Ring ring(2, 64);
  ring.put("a");
  EXPECT_FALSE(ring.wait_for_room(8));
  EXPECT_EQ(ring.buffers.control().producer_waiting, 0u);
  ring.put("b");
  EXPECT_TRUE(ring.wait_for_room(8));
  EXPECT_EQ(ring.buffers.control().producer_waiting, 1u);

  auto ignore = [](const Descriptor&, std::span<const uint8_t>) {};
  EXPECT_TRUE(ring.consumer.drain(ignore, 1).resume);
  EXPECT_FALSE(ring.consumer.drain(ignore, 1).resume);  // asked once, told once
  EXPECT_EQ(ring.producer.room(2, 8), 2u);
}

TEST(RxRing, notices_room_that_turned_up_before_it_went_to_sleep) {
  Ring ring(1, 64);
  ring.put("a");
  EXPECT_EQ(ring.producer.room(1, 8), 0u);
  ring.take();
  EXPECT_FALSE(ring.wait_for_room(8));
  EXPECT_EQ(ring.put("b"), 0);
}

}  // namespace
}  // namespace ksocket
