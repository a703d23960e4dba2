#include "core/socket/kernel_drops.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <string>
#include <thread>

#include "core/socket/options.h"
#include "support/fake_engine.h"
#include "support/loopback.h"
#include "support/ring_memory.h"

namespace ksocket {
namespace {

constexpr uint32_t kLarge = 64, kSmall = 1;

// A socket whose receive buffer is full after some datagrams, and its counter.
class KernelDropsTest : public ::testing::Test {
 protected:
  KernelDropsTest() {
    EXPECT_EQ(set_option(fd(), 4, SocketOption::receive_buffer_bytes, 1), 0);  // the kernel's least
    EXPECT_EQ(set_option(fd(), 4, SocketOption::report_kernel_drops, 1), 0);
  }
  int fd() { return socket.get(); }
  void send(int datagrams) {
    for (int i = 0; i < datagrams; i++) ASSERT_TRUE(peer.send(test::name_of(fd()), "x"));
  }
  int received() {  // how many wait in the kernel
    char byte;
    int out = 0;
    while (recv(fd(), &byte, 1, MSG_DONTWAIT) >= 0) out++;
    return out;
  }
  bool option() {
    int value = -1;
    EXPECT_EQ(get_option(fd(), 4, SocketOption::report_kernel_drops, &value), 0);
    return value == 1;
  }
  void batch(uint32_t messages, bool drained = false) { drops.after_batch(fd(), 4, row, messages, drained); }
  void flood() {
    for (int i = 0; i < 20 && !drops.asking(); i++) {
      drops.reported(0, row);
      batch(kLarge);
    }
    ASSERT_TRUE(drops.asking());
  }
  uint64_t counted() { return row[Counter::rx_kernel_drops]; }

  Fd socket = test::bound_socket();
  test::Peer peer;
  test::CounterRow row;
  KernelDrops drops;
};

TEST_F(KernelDropsTest, believes_the_datagrams) {
  drops.reported(3, row);
  batch(kSmall);
  drops.reported(3, row);
  drops.reported(10, row);
  batch(kSmall);
  EXPECT_EQ(counted(), 10u);
  EXPECT_TRUE(option());
}

TEST_F(KernelDropsTest, counts_on_where_the_kernels_number_wraps) {
  for (uint64_t total = 0; total <= (uint64_t{1} << 32) + 5; total += (1u << 30)) {
    drops.reported(static_cast<uint32_t>(total), row);
  }
  drops.reported(5, row);
  EXPECT_EQ(counted(), (uint64_t{1} << 32) + 5);
}

TEST_F(KernelDropsTest, asks_in_a_flood_and_is_told_again_after_it) {
  send(2000);
  int kept = received();
  flood();
  EXPECT_FALSE(option());
  EXPECT_EQ(counted(), 2000u - kept);

  send(1000);
  kept += received();
  batch(kLarge);
  EXPECT_EQ(counted(), 3000u - kept);

  send(500);
  kept += received();
  batch(kSmall, true);
  EXPECT_FALSE(drops.asking());
  EXPECT_TRUE(option());
  EXPECT_EQ(counted(), 3500u - kept);
}

TEST_F(KernelDropsTest, is_told_again_when_nothing_comes) {
  flood();
  send(2000);
  int kept = received();
  drops.idle(fd(), 4, row);
  EXPECT_FALSE(drops.asking());
  EXPECT_TRUE(option());
  EXPECT_EQ(counted(), 2000u - kept);
}

TEST_F(KernelDropsTest, asks_on_while_batches_are_large_or_cut_short_by_us) {
  flood();
  batch(kLarge, true);
  EXPECT_TRUE(drops.asking());
  batch(kSmall, false);
  EXPECT_TRUE(drops.asking());
}

TEST_F(KernelDropsTest, asks_after_four_large_batches_in_a_row) {
  drops.reported(0, row);
  batch(kSmall);
  for (int i = 0; i < 4; i++) {
    EXPECT_FALSE(drops.asking());
    drops.reported(0, row);
    batch(kLarge);
  }
  EXPECT_TRUE(drops.asking());
}

TEST_F(KernelDropsTest, does_not_ask_for_a_few_large_batches_or_where_nothing_was_dropped) {
  for (int i = 0; i < 20; i++) batch(kLarge);
  for (int i = 0; i < 20; i++) {
    drops.reported(0, row);
    batch(i % 3 == 0 ? kSmall : kLarge);
  }
  EXPECT_FALSE(drops.asking());
  EXPECT_TRUE(option());
}

// Nothing comes that would report it, nor is the option set.
TEST_F(KernelDropsTest, asks_when_it_is_asked) {
  ASSERT_EQ(set_option(fd(), 4, SocketOption::report_kernel_drops, 0), 0);
  send(1000);
  drops.refresh(fd(), row);
  uint64_t dropped = counted();
  EXPECT_EQ(dropped, 1000u - received());
  drops.refresh(fd(), row);
  EXPECT_EQ(counted(), dropped);
}

TEST_F(KernelDropsTest, counts_each_once_whoever_says_so_first) {
  std::atomic<bool> over{false};
  std::thread asking([&] {
    while (!over) drops.refresh(fd(), row);
  });
  int kept = 0;
  for (int i = 0; i < 100; i++) {
    send(50);
    kept += received();
    batch(kLarge);
  }
  over = true;
  asking.join();
  drops.refresh(fd(), row);
  EXPECT_EQ(counted(), 5000u - kept);
}

// Of a descriptor that was somebody else's before.
TEST_F(KernelDropsTest, does_not_count_what_was_dropped_before_it_begins) {
  drops.wait();
  send(1000);
  received();
  drops.refresh(fd(), row);
  drops.begin(fd());
  drops.refresh(fd(), row);
  EXPECT_EQ(counted(), 0u);
  send(1000);
  int kept = received();
  drops.refresh(fd(), row);
  EXPECT_EQ(counted(), 1000u - kept);
}

// Whatever is dropped meanwhile, and in whichever order they begin and end.
TEST_F(KernelDropsTest, one_of_two_counts_each) {
  test::CounterRow other_row;
  KernelDrops other;
  other.wait();
  send(1000);
  int kept = received();
  uint32_t total = drops.stop(fd(), row);
  EXPECT_EQ(counted(), 1000u - kept);
  EXPECT_EQ(total, 1000u - kept);
  send(500);
  kept += received();
  drops.refresh(fd(), row);
  other.refresh(fd(), other_row);
  EXPECT_EQ(other_row[Counter::rx_kernel_drops], 0u);
  other.told(fd(), total);
  other.begin(fd());
  send(500);
  kept += received();
  other.refresh(fd(), other_row);
  drops.refresh(fd(), row);
  EXPECT_EQ(counted(), total);
  EXPECT_EQ(counted() + other_row[Counter::rx_kernel_drops], 2000u - kept);
}

TEST_F(KernelDropsTest, goes_on_where_nobody_has_begun) {
  drops.stop(fd(), row);
  send(1000);
  int kept = received();
  drops.refresh(fd(), row);
  EXPECT_EQ(counted(), 0u);
  drops.go_on();
  drops.refresh(fd(), row);
  EXPECT_EQ(counted(), 1000u - kept);
}

// The other one has ended without a word.
TEST_F(KernelDropsTest, counts_from_where_it_is_told_that_all_is_counted) {
  drops.wait();
  send(1000);
  int kept = received();
  drops.told(fd(), std::nullopt);
  send(1000);
  kept = received();
  drops.begin(fd());
  drops.refresh(fd(), row);
  EXPECT_EQ(counted(), 1000u - kept);
}

// A datagram that waited in the kernel has the total of the time it came in.
TEST_F(KernelDropsTest, does_not_count_backwards) {
  drops.reported(100, row);
  drops.reported(60, row);
  drops.reported(100, row);
  drops.reported(101, row);
  EXPECT_EQ(counted(), 101u);
}

TEST_F(KernelDropsTest, goes_on_being_told_where_it_may_not_ask) {
  socket = test::dummy_fd();
  for (int i = 0; i < 20; i++) {
    drops.reported(static_cast<uint32_t>(i), row);
    batch(kLarge);
  }
  EXPECT_FALSE(drops.asking());
  EXPECT_EQ(counted(), 19u);
}

}  // namespace
}  // namespace ksocket
