#include "core/socket/socket_name.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/fd.h"

namespace ksocket {
namespace {

constexpr size_t kPathAt = offsetof(sockaddr_un, sun_path);

Address parsed(std::string_view text) {
  Address out;
  EXPECT_EQ(parse_address(kLocal, text, 0, &out), 0);
  return out;
}

TEST(SocketName, of_a_path_ends_with_a_zero) {
  SocketName name = to_name(parsed("/run/a"));
  EXPECT_EQ(name.local.sun_family, AF_UNIX);
  EXPECT_EQ(name.length, kPathAt + 7);
  EXPECT_STREQ(name.local.sun_path, "/run/a");
}

TEST(SocketName, of_an_abstract_name_is_as_long_as_it_is) {
  std::string text("\0a\0b", 4);
  SocketName name = to_name(parsed(text));
  EXPECT_EQ(name.length, kPathAt + 4);
  EXPECT_EQ(std::string(name.local.sun_path, 4), text);
  EXPECT_EQ(format_address(parsed(text)), text);
}

TEST(SocketName, comes_back_as_it_was) {
  for (const std::string& text :
       {std::string("/run/a"), std::string("relative"), std::string(107, 'x'), std::string("\0abstract", 9),
        std::string("\0", 1) + std::string(107, 'y')}) {
    Address address = parsed(text);
    SocketName name = to_name(address);
    EXPECT_TRUE(from_name(kLocal, &name.any, name.length) == address) << text;
    EXPECT_EQ(format_address(address), text);
  }
}

TEST(SocketName, of_a_socket_without_one_is_empty) {
  sockaddr_un none{};
  none.sun_family = AF_UNIX;
  for (socklen_t length : {socklen_t{0}, static_cast<socklen_t>(kPathAt)}) {
    Address address = from_name(kLocal, reinterpret_cast<sockaddr*>(&none), length);
    EXPECT_EQ(address.family, kLocal);
    EXPECT_EQ(format_address(address), "");
  }
}

// The kernel may write a path of 108 bytes, which no zero ends, and say that it is one longer.
TEST(SocketName, of_the_kernel_may_fill_all_of_its_room) {
  sockaddr_un full{};
  full.sun_family = AF_UNIX;
  std::memset(full.sun_path, 'z', sizeof full.sun_path);
  Address address = from_name(kLocal, reinterpret_cast<sockaddr*>(&full), sizeof full + 1);
  EXPECT_EQ(format_address(address), std::string(108, 'z'));
  SocketName name = to_name(address);
  EXPECT_EQ(name.length, sizeof full);
  EXPECT_EQ(std::memcmp(&name.local, &full, sizeof full), 0);
}

TEST(SocketName, is_no_path_where_it_cannot_be_one) {
  Address out;
  EXPECT_EQ(parse_address(kLocal, "", 0, &out), -EINVAL);
  EXPECT_EQ(parse_address(kLocal, std::string_view("a\0b", 3), 0, &out), -EINVAL);
  EXPECT_EQ(parse_address(kLocal, std::string(108, 'x'), 0, &out), -ENAMETOOLONG);
  EXPECT_EQ(parse_address(kLocal, std::string("\0", 1) + std::string(108, 'x'), 0, &out), -ENAMETOOLONG);
  EXPECT_EQ(out.family, 0);
}

TEST(SocketName, of_a_number_that_stands_for_nothing_is_refused_by_the_kernel) {
  SocketName name = to_name(local_address(uint64_t{12345} << 32 | 77));
  EXPECT_EQ(name.length, kPathAt);
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(sendto(fd.get(), "x", 1, 0, &name.any, name.length), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST(SocketName, of_ip_is_what_it_was) {
  Address address;
  ASSERT_EQ(parse_address(6, "fe80::1", 2325, &address), 0);
  SocketName name = to_name(address);
  EXPECT_EQ(name.length, sizeof(sockaddr_in6));
  EXPECT_TRUE(from_name(6, &name.any, name.length) == address);
}

}  // namespace
}  // namespace ksocket
