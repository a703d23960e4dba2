// What the kernel does with such programs; docs/design.md rests on it.
#include "core/socket/steering.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using Program = std::vector<sock_filter>;

constexpr uint16_t kByte = BPF_LD | BPF_B | BPF_ABS;

// Sockets that share a port: the first one binds alone, as lib/thread/shards.ts has it.
class Group {
 public:
  explicit Group(size_t size) {
    Fd first = test::bound_socket();
    address_ = test::name_of(first.get());
    int on = 1;
    setsockopt(first.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    fds_.push_back(std::move(first));
    while (fds_.size() < size) join();
  }

  void join() {
    Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    EXPECT_EQ(bind_socket(fd.get(), address_), 0);
    fds_.push_back(std::move(fd));
  }

  void leave(size_t which) { fds_[which].reset(); }
  int fd(size_t which) const { return fds_[which].get(); }

  // Which of them gets it; -1: none.
  int receiver_of(const std::string& payload) {
    EXPECT_TRUE(peer_.send(address_, payload));
    int found = -1;
    for (size_t i = 0; i < fds_.size(); i++) {
      char byte;
      if (fds_[i] && recv(fds_[i].get(), &byte, 1, MSG_DONTWAIT) >= 0) found = static_cast<int>(i);
    }
    return found;
  }

 private:
  test::Peer peer_;
  Address address_;
  std::vector<Fd> fds_;
};

const Program kByFirstByte = {BPF_STMT(kByte, 0), BPF_STMT(BPF_RET | BPF_A, 0)};

TEST(Steering, counts_from_the_payload_s_first_byte) {
  Group group(3);
  ASSERT_EQ(attach_steering(group.fd(1), kByFirstByte), 0);
  for (int i : {2, 0, 1}) EXPECT_EQ(group.receiver_of({static_cast<char>(i), 'x'}), i);
}

TEST(Steering, a_load_beyond_the_end_is_the_first) {
  Group group(3);
  ASSERT_EQ(attach_steering(group.fd(0), Program{BPF_STMT(kByte, 1), BPF_STMT(BPF_RET | BPF_K, 2)}), 0);
  EXPECT_EQ(group.receiver_of("ab"), 2);
  EXPECT_EQ(group.receiver_of("a"), 0);
  EXPECT_EQ(group.receiver_of(""), 0);
}

TEST(Steering, a_number_that_none_has_is_anybody_s) {
  Group group(2);
  ASSERT_EQ(attach_steering(group.fd(0), kByFirstByte), 0);
  EXPECT_GE(group.receiver_of("\x07"), 0);
}

TEST(Steering, the_last_takes_the_place_of_who_goes) {
  Group group(4);
  ASSERT_EQ(attach_steering(group.fd(0), kByFirstByte), 0);
  group.leave(1);
  EXPECT_EQ(group.receiver_of("\x01"), 3);
  EXPECT_EQ(group.receiver_of("\x02"), 2);
  group.join();
  EXPECT_EQ(group.receiver_of("\x03"), 4);
}

TEST(Steering, a_program_takes_the_place_of_the_one_before) {
  Group group(2);
  for (uint32_t which : {1u, 0u, 1u}) {
    ASSERT_EQ(attach_steering(group.fd(0), Program{BPF_STMT(BPF_RET | BPF_K, which)}), 0);
    EXPECT_EQ(group.receiver_of("x"), static_cast<int>(which));
  }
}

TEST(Steering, what_is_no_group_or_no_program) {
  Group alone(1);
  EXPECT_EQ(attach_steering(alone.fd(0), kByFirstByte), -EINVAL);
  Group group(2);
  EXPECT_EQ(attach_steering(group.fd(0), {}), -EINVAL);
  EXPECT_EQ(attach_steering(group.fd(0), Program(BPF_MAXINSNS + 1, BPF_STMT(BPF_RET | BPF_K, 0))), -EINVAL);
  EXPECT_EQ(attach_steering(group.fd(0), Program{BPF_STMT(kByte, 0)}), -EINVAL) << "it has no end";
  EXPECT_EQ(attach_steering(-1, kByFirstByte), -EBADF);
}

TEST(Steering, may_be_had_here) {
  EXPECT_EQ(probe_steering(), 0);
}

}  // namespace
}  // namespace ksocket
