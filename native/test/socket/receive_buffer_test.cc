// When a socket's receive buffer grows, and when it is made small again. Sizes are compared with what the
// kernel makes of the same wish for another socket: it caps them (net.core.rmem_max).
#include "core/socket/receive_buffer.h"

#include <gtest/gtest.h>
#include <linux/socket.h>
#include <sys/socket.h>

#include "core/socket/socket.h"

namespace ksocket {
namespace {

int size_of(const Fd& fd) {
  int bytes = 0;
  EXPECT_EQ(get_option(fd.get(), 4, SocketOption::receive_buffer_bytes, &bytes), 0);
  return bytes;
}

int size_when_asked_for(int bytes) {
  Fd fd;
  EXPECT_EQ(open_datagram(4, &fd), 0);
  if (bytes != 0) {
    EXPECT_EQ(set_option(fd.get(), 4, SocketOption::receive_buffer_bytes, bytes), 0);
  }
  return size_of(fd);
}

class ReceiveBufferTest : public testing::Test {
 protected:
  static constexpr uint32_t kBytes = 16 * 1024, kPlaces = 8, kReadBytes = kBytes * kPlaces;
  // How many reads in a row are no burst any more.
  static constexpr int kOverload = (32 << 20) / kReadBytes;

  ReceiveBufferTest() { EXPECT_EQ(open_datagram(4, &fd_), 0); }

  void read(uint32_t count, uint32_t wanted, uint32_t each = kBytes) {
    buffer_.after_read(fd_.get(), 4, {count, wanted, count * each, drops_});
  }
  void fill(int times, uint32_t each = kBytes) {
    for (int i = 0; i < times; i++) read(kPlaces, kPlaces, each);
  }
  // More comes than is read.
  void lose(int times, uint32_t each = kBytes) {
    for (int i = 0; i < times; i++, drops_++) fill(1, each);
  }
  void overload() {
    lose(kOverload + 2);
    ASSERT_EQ(size_of(fd_), cache_);
  }

  const int initial_ = size_when_asked_for(0);
  const int burst_ = size_when_asked_for(kBurstBufferBytes);
  const int cache_ = size_when_asked_for(kCacheBufferBytes);
  Fd fd_;
  ReceiveBuffer buffer_;
  uint64_t drops_ = 0;
};

TEST_F(ReceiveBufferTest, grows_once_datagrams_come_faster_than_they_are_read) {
  for (int i = 0; i < 100; i++) read(kGrowAtMessages - 1, 64, 100);
  EXPECT_EQ(size_of(fd_), initial_);
  read(kGrowAtMessages, 64, 100);
  EXPECT_EQ(size_of(fd_), burst_);
}

TEST_F(ReceiveBufferTest, grows_when_half_of_what_it_holds_comes_at_once) {
  read(5, 24);
  read(1, 8, 65'507);
  EXPECT_EQ(size_of(fd_), initial_);
  read(6, 24);
  EXPECT_EQ(size_of(fd_), burst_);
}

// Of a small ring that waits few places are offered, and a server reads what it finds at its own pace.
TEST_F(ReceiveBufferTest, grows_when_something_was_lost) {
  for (int i = 0; i < 100; i++) read(1, 1, 100);
  EXPECT_EQ(size_of(fd_), initial_);
  drops_++;
  read(1, 1, 100);
  EXPECT_EQ(size_of(fd_), burst_);
}

TEST_F(ReceiveBufferTest, is_made_small_where_more_comes_than_is_ever_read) {
  lose(1 + kOverload);
  EXPECT_EQ(size_of(fd_), burst_) << "which may be a burst that was longer than most";
  lose(1);
  EXPECT_EQ(size_of(fd_), cache_);
}

TEST_F(ReceiveBufferTest, stays_large_for_bursts_that_end) {
  fill(1);
  for (int burst = 0; burst < 5; burst++) {
    lose(kOverload);
    read(kPlaces - 1, kPlaces);
  }
  EXPECT_EQ(size_of(fd_), burst_);
}

// Each may be just as large as a read has places.
TEST_F(ReceiveBufferTest, stays_large_where_nothing_is_lost) {
  fill(1);
  drops_++;
  read(1, kPlaces);
  fill(10 * kOverload);
  EXPECT_EQ(size_of(fd_), burst_);
}

TEST_F(ReceiveBufferTest, stays_large_for_small_datagrams) {
  fill(1);
  for (int i = 0; i < 100'000; i++, drops_++) read(64, 64, 4095);
  EXPECT_EQ(size_of(fd_), burst_);
  for (int i = 0; i < (32 << 20) / (64 * 4096) + 1; i++, drops_++) read(64, 64, 4096);
  EXPECT_EQ(size_of(fd_), cache_);
}

TEST_F(ReceiveBufferTest, is_large_again_once_nothing_has_been_lost_for_a_while) {
  overload();
  drops_++;
  for (int i = 0; i < 100; i++, drops_++) {
    for (int n = 0; n < 63; n++) read(kPlaces - 1, kPlaces);
  }
  EXPECT_EQ(size_of(fd_), cache_);
  fill(64);
  EXPECT_EQ(size_of(fd_), cache_) << "the loss is told with the first of these";
  fill(1);
  EXPECT_EQ(size_of(fd_), burst_) << "though each found as much as it could take";
  lose(kOverload + 1);
  EXPECT_EQ(size_of(fd_), cache_);
}

TEST_F(ReceiveBufferTest, is_the_programs_once_it_has_chosen) {
  buffer_.leave();
  lose(2 * kOverload);
  read(64, 64);
  EXPECT_EQ(size_of(fd_), initial_);
}

TEST_F(ReceiveBufferTest, is_the_programs_in_overload_too) {
  overload();
  buffer_.leave();
  for (int n = 0; n < 1000; n++) read(1, kPlaces);
  EXPECT_EQ(size_of(fd_), cache_);
}

// As another process may that has a descriptor of it, or had: which descriptor it is makes no difference.
TEST_F(ReceiveBufferTest, is_anybodys_who_has_chosen) {
  ASSERT_EQ(set_option(fd_.get(), 4, SocketOption::receive_buffer_bytes, 50'000), 0);
  read(64, 64);
  EXPECT_EQ(size_of(fd_), 100'000);
  buffer_.grow(fd_.get(), 4, 1 << 30);
  EXPECT_EQ(size_of(fd_), 100'000);
}

TEST_F(ReceiveBufferTest, is_anybodys_who_has_chosen_after_it_had_grown) {
  read(64, 64);
  ASSERT_EQ(set_option(fd_.get(), 4, SocketOption::receive_buffer_bytes, 50'000), 0);
  lose(2 * kOverload);
  EXPECT_EQ(size_of(fd_), 100'000);
}

TEST_F(ReceiveBufferTest, is_nobodys_who_takes_the_socket_over_when_it_has_grown_by_itself) {
  ASSERT_EQ(set_option(fd_.get(), 4, SocketOption::send_buffer_bytes, 50'000), 0);
  overload();
  lose(1);
  ReceiveBuffer others;
  others.after_read(fd_.get(), 4, {64, 64, 6400, 0});
  EXPECT_EQ(size_of(fd_), burst_);
  int locks = 0;
  socklen_t bytes = sizeof locks;
  ASSERT_EQ(getsockopt(fd_.get(), SOL_SOCKET, SO_BUF_LOCK, &locks, &bytes), 0);
  EXPECT_EQ(locks, SOCK_SNDBUF_LOCK) << "that was chosen";
}

// As far as it may be, and never smaller than it was.
TEST_F(ReceiveBufferTest, grows_for_a_time_without_a_reader) {
  buffer_.grow(fd_.get(), 4, 0);
  bool is_root = size_of(fd_) == 2 * kBurstBufferBytes;
  if (!is_root) {
    EXPECT_EQ(size_of(fd_), initial_) << "nobody knows how much may be asked for";
    ReceiveBuffer().grow(fd_.get(), 4, burst_ / 2);
    EXPECT_EQ(size_of(fd_), burst_);
    ASSERT_EQ(setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &initial_, sizeof initial_), 0);
    int unlocked = 0;
    ASSERT_EQ(setsockopt(fd_.get(), SOL_SOCKET, SO_BUF_LOCK, &unlocked, sizeof unlocked), 0);
    read(64, 64);
    EXPECT_EQ(size_of(fd_), burst_);
  }
  buffer_.grow(fd_.get(), 4, 1000);
  EXPECT_EQ(size_of(fd_), is_root ? 2 * kBurstBufferBytes : burst_);
  lose(kOverload + 2);
  EXPECT_EQ(size_of(fd_), cache_);
}

}  // namespace
}  // namespace ksocket
