#include "core/socket/rights.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace ksocket {
namespace {

struct Pair {
  Pair() {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, both), 0);
    a = Fd(both[0]);
    b = Fd(both[1]);
  }
  Fd a, b;
};

ssize_t send_with(int fd, std::span<uint8_t> message) {
  iovec data{const_cast<char*>("x"), 1};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = message.data();
  header.msg_controllen = message.size();
  return sendmsg(fd, &header, 0);
}

uint32_t receive_with(int fd, size_t room) {
  char byte;
  iovec data{&byte, 1};
  alignas(cmsghdr) uint8_t control[2048];
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = room;
  EXPECT_EQ(recvmsg(fd, &header, MSG_CMSG_CLOEXEC), 1);
  return Rights::of_process().received(header);
}

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

TEST(Rights, arrive_as_copies_of_what_was_sent) {
  Pair pair;
  Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  int given[] = {file.get(), file.get()};
  int64_t number = Rights::of_process().copy(given);
  ASSERT_GT(number, 0);
  file.reset();  // they have been copied
  ASSERT_EQ(send_with(pair.a.get(), Rights::of_process().message(static_cast<uint32_t>(number))), 1);
  Rights::of_process().take(static_cast<uint32_t>(number));
  uint32_t received = receive_with(pair.b.get(), 2048);
  ASSERT_NE(received, 0u);
  std::vector<Fd> fds = Rights::of_process().take(received);
  ASSERT_EQ(fds.size(), 2u);
  EXPECT_TRUE(is_open(fds[0].get()));
  EXPECT_EQ(fcntl(fds[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_TRUE(Rights::of_process().take(received).empty());
}

TEST(Rights, are_none_where_nothing_came) {
  Pair pair;
  ASSERT_EQ(send(pair.a.get(), "x", 1, 0), 1);
  EXPECT_EQ(receive_with(pair.b.get(), 2048), 0u);
}

TEST(Rights, that_do_not_fit_are_closed_by_the_kernel) {
  Pair pair;
  int given[] = {pair.a.get(), pair.a.get(), pair.a.get()};
  uint32_t number = static_cast<uint32_t>(Rights::of_process().copy(given));
  ASSERT_EQ(send_with(pair.a.get(), Rights::of_process().message(number)), 1);
  Rights::of_process().take(number);
  uint32_t received = receive_with(pair.b.get(), CMSG_LEN(2 * sizeof(int)));
  EXPECT_EQ(Rights::of_process().take(received).size(), 2u);
}

TEST(Rights, end_with_their_bundle) {
  Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  int given[] = {file.get()};
  uint32_t number = static_cast<uint32_t>(Rights::of_process().copy(given));
  std::vector<Fd> copies = Rights::of_process().take(number);
  ASSERT_EQ(copies.size(), 1u);
  int copy = copies[0].get();
  EXPECT_TRUE(is_open(copy));
  copies.clear();
  EXPECT_FALSE(is_open(copy));
  EXPECT_TRUE(Rights::of_process().message(number).empty());
}

TEST(Rights, refuse_what_is_not_open) {
  Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  int given[] = {file.get(), 1 << 20};
  EXPECT_EQ(Rights::of_process().copy(given), -EBADF);
}

}  // namespace
}  // namespace ksocket
