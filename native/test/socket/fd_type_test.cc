#include "core/socket/fd_type.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/socket/socket.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

TEST(FdType, tells_sockets_apart) {
  Fd udp = test::bound_socket();
  EXPECT_STREQ(fd_type(udp.get()), "UDP");
  EXPECT_EQ(fd_family(udp.get()), 4);
  Fd tcp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_STREQ(fd_type(tcp.get()), "TCP");
  EXPECT_EQ(fd_family(tcp.get()), 4);
  Fd unix_stream(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_STREQ(fd_type(unix_stream.get()), "PIPE");
  EXPECT_EQ(fd_family(unix_stream.get()), 0);
  Fd unix_datagram(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_STREQ(fd_type(unix_datagram.get()), "UNKNOWN");
  EXPECT_EQ(fd_family(unix_datagram.get()), 1);
}

// What a program is started with (inetd's way) may be at 0.
TEST(FdType, is_told_of_descriptor_0_and_of_none_below) {
  Fd udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), kept(fcntl(0, F_DUPFD_CLOEXEC, 3));
  ASSERT_EQ(dup2(udp.get(), 0), 0);
  EXPECT_STREQ(fd_type(0), "UDP");
  if (kept) {
    dup2(kept.get(), 0);
  } else {
    close(0);
  }
  EXPECT_STREQ(fd_type(-1), "INVALID");
}

TEST(FdType, knows_the_family_of_ipv6) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  Fd udp = test::bound_socket(6);
  EXPECT_STREQ(fd_type(udp.get()), "UDP");
  EXPECT_EQ(fd_family(udp.get()), 6);
}

TEST(FdType, tells_everything_else_from_sockets) {
  Fd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), device(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_STREQ(fd_type(file.get()), "FILE");
  EXPECT_STREQ(fd_type(device.get()), "FILE");
  EXPECT_EQ(fd_family(file.get()), 0);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Fd read_end(ends[0]), write_end(ends[1]);
  EXPECT_STREQ(fd_type(read_end.get()), "PIPE");
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  EXPECT_STREQ(fd_type(epoll.get()), "UNKNOWN");
}

TEST(FdType, knows_what_is_no_descriptor) {
  EXPECT_STREQ(fd_type(-1), "INVALID");
  int closed = test::bound_socket().get();  // closed again at the end of this line
  EXPECT_STREQ(fd_type(closed), "UNKNOWN");
  EXPECT_EQ(fd_family(closed), 0);
}

}  // namespace
}  // namespace ksocket
