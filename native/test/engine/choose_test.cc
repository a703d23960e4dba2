// Which engine is chosen, and that the one that is left works: on this kernel, and in child processes on
// kernels that refuse more and more (support/child.h).
#include "engine/choose.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "core/base/kernel_names.h"
#include "engine/features.h"
#include "engine/gso_limit.h"
#include "support/child.h"
#include "support/engines.h"
#include "support/io_rig.h"
#include "support/loopback.h"
#include "support/process.h"

namespace ksocket {
namespace {

using test::Child;
using test::ChildResult;
using test::Peer;
using test::run_in_child;

TEST(Choose, takes_the_best_engine_that_works) {
  ChosenEngine chosen = choose_engine("");
  ASSERT_TRUE(chosen.engine);
  EXPECT_STREQ(chosen.engine->name(), "mmsg");
  EXPECT_TRUE(chosen.engine->traits().offloads);
}

TEST(Choose, takes_the_engine_that_is_asked_for) {
  ASSERT_TRUE(choose_engine("posix").engine);
  EXPECT_STREQ(choose_engine("posix").engine->name(), "posix");
  EXPECT_FALSE(choose_engine("posix").engine->traits().offloads);
  ASSERT_TRUE(choose_engine("mmsg").engine);
  EXPECT_STREQ(choose_engine("mmsg").engine->name(), "mmsg");
}

TEST(Choose, knows_no_other_engine) {
  for (const char* name : {"io_uring", "MMSG", "mmsg ", "auto"}) {
    ChosenEngine chosen = choose_engine(name);
    EXPECT_FALSE(chosen.engine);
    EXPECT_EQ(chosen.error, -EINVAL);
  }
}

TEST(Choose, makes_every_engine_that_it_names) {
  ASSERT_FALSE(engine_names().empty());
  EXPECT_STREQ(choose_engine("").engine->name(), engine_names()[0]) << "the best one first";
  for (const char* name : engine_names()) {
    ASSERT_TRUE(choose_engine(name).engine) << name;
    EXPECT_STREQ(choose_engine(name).engine->name(), name);
    EXPECT_STREQ(engine_name_for(name), name);
  }
  EXPECT_EQ(engine_needs().size(), engine_names().size());
  EXPECT_STREQ(engine_name_for(""), "mmsg");
  EXPECT_STREQ(engine_name_for("io_uring"), "mmsg");
}

TEST(Choose, leaves_no_descriptor_behind) {
  size_t before = test::open_descriptors();
  for (const char* name : {"", "mmsg", "posix", "other"}) {
    choose_engine(name);
    engine_name_for(name);
  }
  probe_mmsg();
  probe_features();
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(Features, agree_with_the_engine) {
  Features features = probe_features();
  EXPECT_TRUE(features.mmsg);
  EXPECT_TRUE(features.epoll);
  EXPECT_EQ(features.ipv6, test::has_ipv6() || features.ipv6);  // a socket without an address is one too
  EXPECT_TRUE(features.kernel_drops);
  EXPECT_EQ(features.gso_segments,
            features.gso ? choose_engine("mmsg").engine->traits().gso_segments_max : 0);
}

TEST(Features, gso_segments_are_what_the_kernel_takes) {
  uint32_t max = gso_segments_max();
  EXPECT_TRUE(max == kGsoSegmentsMin || max == kGsoSegmentsMax) << max;
  Peer from, to;
  int segment = 1;
  if (setsockopt(from.fd(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) GTEST_SKIP() << "no GSO";
  EXPECT_TRUE(from.send(to.address(), std::string(max, 'x')));
  for (uint32_t i = 0; i < max; i++) EXPECT_EQ(to.receive(), "x");
  EXPECT_EQ(from.send(to.address(), std::string(kGsoSegmentsMin + 1, 'x')), max > kGsoSegmentsMin);
}

TEST(Features, say_whether_the_kernel_joins_what_comes) {
  Fd socket = test::bound_socket();
  int on = 1;
  EXPECT_EQ(probe_features().gro, setsockopt(socket.get(), SOL_UDP, UDP_GRO, &on, sizeof on) == 0);
}

TEST(Features, say_whether_the_kernel_may_be_asked_to_busy_poll) {
  Fd socket = test::bound_socket();
  int usecs = 1;
  bool may = setsockopt(socket.get(), SOL_SOCKET, SO_BUSY_POLL, &usecs, sizeof usecs) == 0;
  EXPECT_EQ(probe_features().busy_poll, may);
  EXPECT_EQ(choose_engine("posix").engine->busy_poll(50), -ENOSYS);
  int error = choose_engine("mmsg").engine->busy_poll(50);
  // Before Linux 6.9 an epoll instance has no ioctl(2).
  EXPECT_TRUE(error == 0 || error == -ENOTTY || error == -EINVAL) << error;
}

// ---- in a child with less of a kernel

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      return 1;                                                   \
    }                                                             \
  } while (false)

// Both directions, with a real thread, on whatever engine is the best.
int exchange_datagrams(const char* expected_engine) {
  ChosenEngine chosen = choose_engine("");
  CHECK(chosen.engine);
  std::printf("engine %s\n", chosen.engine->name());
  CHECK(std::string(chosen.engine->name()) == expected_engine);

  test::IoRig rig(std::move(chosen.engine), {});
  CHECK(rig.thread.start() == 0);
  auto socket = rig.add(test::bound_socket());
  CHECK(rig.thread.watch(*socket) == 0);
  Peer peer;
  for (size_t i = 0; i < 200; i++) {
    std::string data = std::to_string(i);
    CHECK(peer.send(test::name_of(socket->fd.get()), data));
    CHECK(rig.read_records(i + 1));
    CHECK(rig.records[i].data == data);
    test::Staged staged;
    staged.add(peer.address(), data).add(peer.address(), "again");
    CHECK(staged.send(rig.thread, *socket) == 0);
    CHECK(peer.receive() == data);
    CHECK(peer.receive() == "again");
  }
  rig.thread.stop();
  return 0;
}

Child with_everything("with_everything", [] { return exchange_datagrams("mmsg"); });

Child without_mmsg("without_mmsg", [] {
  CHECK(probe_mmsg() != 0);
  CHECK(!choose_engine("mmsg").engine);
  CHECK(choose_engine("mmsg").error == probe_mmsg());
  CHECK(engine_name_for("mmsg") == std::string("mmsg"));
  CHECK(engine_name_for("") == std::string("posix"));
  Features features = probe_features();
  CHECK(!features.mmsg);
  CHECK(features.epoll);
  return exchange_datagrams("posix");
});

Child without_epoll("without_epoll", [] {
  CHECK(probe_mmsg() == 0);
  CHECK(!choose_engine("mmsg").engine);
  Features features = probe_features();
  CHECK(features.mmsg);
  CHECK(!features.epoll);
  return exchange_datagrams("posix");
});

Child without_either("without_either", [] {
  Features features = probe_features();
  CHECK(!features.mmsg && !features.epoll);
  return exchange_datagrams("posix");
});

Child without_any("without_any", [] {
  ChosenEngine chosen = choose_engine("");
  CHECK(!chosen.engine);
  CHECK(chosen.error == -ENOSYS);
  CHECK(!choose_engine("posix").engine);
  return 0;
});

Child without_sockets("without_sockets", [] {
  // No reason to fall back: nothing would work.
  ChosenEngine chosen = choose_engine("");
  CHECK(!chosen.engine);
  CHECK(chosen.error == -EMFILE);
  CHECK(engine_name_for("") == std::string("posix"));
  return 0;
});

struct Refusal {
  const char* name;
  const char* child;
  std::vector<int> calls;
  int error;
  friend void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }
};

class KernelWithout : public testing::TestWithParam<Refusal> {};

TEST_P(KernelWithout, still_exchanges_datagrams) {
  ChildResult result = run_in_child(GetParam().child, GetParam().calls, GetParam().error);
  EXPECT_EQ(result.status, 0) << result.output;
}

std::vector<int> wait_calls() {
#ifdef SYS_epoll_wait
  return {SYS_epoll_wait, SYS_epoll_pwait};
#else
  return {SYS_epoll_pwait};
#endif
}

std::vector<Refusal> refusals() {
  return {{"nothing_missing", "with_everything", {}, 0},
          {"mmsg_not_there", "without_mmsg", {SYS_recvmmsg, SYS_sendmmsg}, ENOSYS},
          {"mmsg_forbidden", "without_mmsg", {SYS_recvmmsg, SYS_sendmmsg}, EPERM},
          {"recvmmsg_not_there", "without_mmsg", {SYS_recvmmsg}, ENOSYS},
          {"sendmmsg_forbidden", "without_mmsg", {SYS_sendmmsg}, EPERM},
          {"epoll_not_there", "without_epoll", {SYS_epoll_create1}, ENOSYS},
          {"epoll_forbidden", "without_epoll", {SYS_epoll_create1}, EPERM},
          {"eventfd_not_there", "without_epoll", {SYS_eventfd2}, ENOSYS},
          {"epoll_ctl_forbidden", "without_epoll", {SYS_epoll_ctl}, EPERM},
          {"epoll_wait_not_there", "without_epoll", wait_calls(), ENOSYS},
          {"mmsg_and_epoll_not_there",
           "without_either",
           {SYS_recvmmsg, SYS_sendmmsg, SYS_epoll_create1},
           ENOSYS}};
}

INSTANTIATE_TEST_SUITE_P(, KernelWithout, testing::ValuesIn(refusals()),
                         [](const testing::TestParamInfo<Refusal>& info) {
                           return std::string(info.param.name);
                         });

// A thread that cannot wait would be deaf, and nobody would know.
TEST(Choose, makes_no_engine_that_cannot_wait_receive_or_send) {
#ifdef SYS_poll
  constexpr int kPoll = SYS_poll;
#else
  constexpr int kPoll = SYS_ppoll;
#endif
  for (int call : {kPoll, int{SYS_recvmsg}, int{SYS_sendmsg}, int{SYS_pipe2}}) {
    std::vector<int> calls = {SYS_recvmmsg, call};
    if (call == kPoll) calls.push_back(SYS_ppoll);
    ChildResult result = run_in_child("without_any", calls, ENOSYS);
    EXPECT_EQ(result.status, 0) << call << result.output;
  }
}

TEST(Choose, says_what_is_wrong_when_no_engine_could_work) {
  constexpr int kCalls[] = {SYS_socket};
  ChildResult result = run_in_child("without_sockets", kCalls, EMFILE);
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST(ChildProcess, tells_how_it_ended) {
  EXPECT_EQ(run_in_child("no such child", {}, 0).status, 64);
  constexpr int kCalls[] = {SYS_recvmmsg};
  ChildResult result = run_in_child("with_everything", kCalls, ENOSYS);
  EXPECT_EQ(result.status, 1) << "a check that does not hold fails the child";
  EXPECT_NE(result.output.find("engine posix"), std::string::npos) << result.output;
}

}  // namespace
}  // namespace ksocket
