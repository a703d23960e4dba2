#include "core/socket/inherited.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "core/base/fd.h"
#include "core/socket/socket.h"
#include "support/addresses.h"

namespace ksocket {
namespace {

Fd local_socket(int type, const std::string& path) {
  Fd fd(socket(AF_UNIX, type, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&name), length), 0);
  return fd;
}

TEST(Inherited, is_kept_from_children) {
  Fd fd(socket(AF_INET, SOCK_DGRAM, 0));
  ASSERT_EQ(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  InheritedSocket found;
  ASSERT_EQ(claim_inherited(fd.get(), &found), 0);
  EXPECT_EQ(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(Inherited, says_kind_and_address_of_internet_sockets) {
  struct Case {
    int domain, type;
    const char *name, *address;
  };
  for (const Case& each : {Case{AF_INET, SOCK_DGRAM, "udp4", "127.0.0.1"},
                           {AF_INET6, SOCK_DGRAM, "udp6", "::1"},
                           {AF_INET, SOCK_STREAM, "tcp4", "127.0.0.1"},
                           {AF_INET6, SOCK_STREAM, "tcp6", "::1"}}) {
    Fd fd(socket(each.domain, each.type, 0));
    ASSERT_EQ(bind_socket(fd.get(), test::address_of(each.address)), 0);
    InheritedSocket found;
    ASSERT_EQ(claim_inherited(fd.get(), &found), 0);
    EXPECT_STREQ(found.type, each.name);
    EXPECT_EQ(found.name, each.address);
    EXPECT_GT(found.port, 0);
  }
}

TEST(Inherited, says_kind_and_name_of_local_sockets) {
  std::string abstract("\0ksocket-inherited-", 19);
  abstract += std::to_string(getpid());
  std::string longest(abstract);
  longest.resize(sizeof sockaddr_un{}.sun_path, 'x');
  struct Case {
    int type;
    const char* name;
    std::string path;
  };
  std::string file = "/tmp/ksocket-inherited-" + std::to_string(getpid());
  for (const Case& each : {Case{SOCK_DGRAM, "unix_dgram", file},
                           {SOCK_STREAM, "unix_stream", abstract},
                           {SOCK_SEQPACKET, "unix_seqpacket", longest}}) {
    Fd fd = local_socket(each.type, each.path);
    InheritedSocket found;
    ASSERT_EQ(claim_inherited(fd.get(), &found), 0);
    EXPECT_STREQ(found.type, each.name);
    EXPECT_EQ(found.name, each.path);
    EXPECT_EQ(found.port, 0);
  }
  unlink(file.c_str());
  Fd unbound(socket(AF_UNIX, SOCK_DGRAM, 0));
  InheritedSocket found;
  ASSERT_EQ(claim_inherited(unbound.get(), &found), 0);
  EXPECT_EQ(found.name, "");
}

TEST(Inherited, is_other_or_not_there) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Fd in(ends[0]), out(ends[1]), link(socket(AF_NETLINK, SOCK_RAW, 0));
  InheritedSocket found;
  ASSERT_EQ(claim_inherited(in.get(), &found), 0);
  EXPECT_STREQ(found.type, "other");
  ASSERT_EQ(claim_inherited(link.get(), &found), 0);
  EXPECT_STREQ(found.type, "other");
  EXPECT_EQ(found.name, "");
  in.reset();
  EXPECT_EQ(claim_inherited(ends[0], &found), -EBADF);
  EXPECT_EQ(claim_inherited(-1, &found), -EBADF);
}

}  // namespace
}  // namespace ksocket
