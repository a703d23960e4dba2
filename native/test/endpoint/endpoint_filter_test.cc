// A socket's filter and UDP_GRO, on sockets of the kernel.
#include "core/endpoint/endpoint_filter.h"

#include <gtest/gtest.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/socket/filter.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"
#include "support/fake_engine.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

// Datagrams whose payload begins with this.
std::vector<sock_filter> begins_with(char first) {
  return {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(first), 0, 1),
          BPF_STMT(BPF_RET | BPF_K, UINT32_MAX), BPF_STMT(BPF_RET | BPF_K, 0)};
}
const std::vector<sock_filter> kInvalid = {BPF_STMT(BPF_LD | BPF_IMM, 0)};

class EndpointFilterTest : public testing::Test {
 protected:
  void SetUp() override {
    socket = test::bound_socket();
    ASSERT_EQ(socket_name(socket.get(), false, &name), 0);
    ASSERT_EQ(open_datagram(4, &sender), 0);
    ASSERT_EQ(connect_socket(sender.get(), name), 0);
  }
  int fd() const { return socket.get(); }
  int set(std::vector<sock_filter> program, bool of_flows = false, bool lock = false) {
    return filter.set(fd(), 4, {std::move(program), lock, of_flows});
  }
  void join(bool on) { ASSERT_EQ(set_option(fd(), 4, SocketOption::gro, on), 0); }
  bool joins() {
    int on = -1;
    EXPECT_EQ(get_option(fd(), 4, SocketOption::gro, &on), 0);
    return on == 1;
  }
  // As one super-datagram of datagrams of `size`.
  void say(const std::string& text, int size = 0) {
    ASSERT_EQ(setsockopt(sender.get(), IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size), 0);
    ASSERT_EQ(send(sender.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  // "" where there is nothing.
  std::string hear() {
    char text[100];
    ssize_t length = recv(fd(), text, sizeof text, MSG_DONTWAIT);
    return length < 0 ? "" : std::string(text, static_cast<size_t>(length));
  }

  Fd socket, sender;
  Address name;
  EndpointFilter filter;
};

TEST_F(EndpointFilterTest, is_set_at_once_where_nothing_is_joined) {
  EXPECT_TRUE(filter.may_join());
  ASSERT_EQ(set(begins_with('a')), 0);
  EXPECT_FALSE(filter.waits());
  EXPECT_FALSE(filter.may_join());
  say("aabbaa", 2);
  EXPECT_EQ(hear(), "aa");
  EXPECT_EQ(hear(), "aa");
  EXPECT_EQ(hear(), "");
}

TEST_F(EndpointFilterTest, of_flows_lets_the_kernel_join) {
  join(true);
  ASSERT_EQ(set({BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)}, true), 0);
  EXPECT_FALSE(filter.waits());
  EXPECT_TRUE(filter.may_join());
  EXPECT_TRUE(joins());
}

TEST_F(EndpointFilterTest, waits_until_joined_datagrams_are_read_and_nothing_arrives_meanwhile) {
  join(true);
  say("bbbb", 2);
  ASSERT_EQ(set(begins_with('a')), 0);
  EXPECT_TRUE(filter.waits());
  EXPECT_FALSE(filter.may_join());
  say("aa");
  EXPECT_EQ(filter.after_turn(fd(), 4), 0);
  EXPECT_TRUE(filter.waits()) << "something is there to be read";
  EXPECT_TRUE(joins()) << "and has to be told apart";
  EXPECT_EQ(hear(), "bbbb");
  EXPECT_EQ(hear(), "");
  EXPECT_EQ(filter.after_turn(fd(), 4), 0);
  EXPECT_FALSE(filter.waits());
  EXPECT_FALSE(joins());
  say("aabbaa", 2);
  EXPECT_EQ(hear(), "aa");
  EXPECT_EQ(hear(), "aa");
  EXPECT_EQ(hear(), "");
}

TEST_F(EndpointFilterTest, another_one_takes_the_place_of_one_that_waits) {
  join(true);
  say("bb");
  ASSERT_EQ(set(begins_with('a')), 0);
  ASSERT_EQ(set(begins_with('b')), 0);
  EXPECT_TRUE(filter.waits());
  ASSERT_EQ(set({}), 0);
  EXPECT_FALSE(filter.waits());
  EXPECT_TRUE(filter.may_join());
  say("cc");
  EXPECT_EQ(hear(), "bb");
  EXPECT_EQ(hear(), "cc");
}

TEST_F(EndpointFilterTest, what_the_kernel_refuses_changes_nothing) {
  for (bool joined : {false, true}) {
    join(false);
    ASSERT_EQ(set(begins_with('a')), 0);
    join(joined);
    EXPECT_EQ(set(kInvalid), -EINVAL);
    EXPECT_FALSE(filter.waits());
    EXPECT_FALSE(filter.may_join());
    say("bb");
    say("aa");
    EXPECT_EQ(hear(), "aa");
    EXPECT_EQ(hear(), "");
  }
}

TEST_F(EndpointFilterTest, is_locked_once_it_is_set) {
  join(true);
  ASSERT_EQ(set(begins_with('a'), false, true), 0);
  EXPECT_EQ(filter.after_turn(fd(), 4), 0);
  for (bool joined : {false, true}) {
    join(joined);
    EXPECT_EQ(set(begins_with('b')), -EPERM);
    EXPECT_EQ(set({}), -EPERM);
    EXPECT_FALSE(filter.waits());
    EXPECT_FALSE(filter.may_join());
  }
  EXPECT_EQ(stop_arrivals(fd()), -EPERM);
  EXPECT_EQ(detach_filter(fd()), -EPERM);
  EXPECT_EQ(lock_filter(fd()), 0);
}

TEST_F(EndpointFilterTest, none_is_taken_away_where_there_is_none) {
  EXPECT_EQ(set({}), 0);
  EXPECT_EQ(detach_filter(fd()), 0);
  EXPECT_EQ(detach_filter(-1), -EBADF);
  EXPECT_EQ(lock_filter(-1), -EBADF);
}

}  // namespace
}  // namespace ksocket
