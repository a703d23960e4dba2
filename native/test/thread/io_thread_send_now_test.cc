// Sends that come back instead of waiting, of local sockets: what the peer has no room for is the caller's
// again.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/thread/io_thread.h"
#include "support/io_thread_loopback.h"

namespace ksocket {
namespace {

using test::get;

class IoThreadSendNow : public test::IoThreadOnLoopback {
 protected:
  // Bound to an abstract name, and read by nobody.
  struct Receiver {
    Receiver() {
      std::string text = std::string(1, '\0') + "ksocket-test-" + std::to_string(getpid());
      EXPECT_EQ(parse_address(kLocal, text, 0, &name), 0);
      EXPECT_EQ(open_datagram(kLocal, &fd), 0);
      EXPECT_EQ(bind_socket(fd.get(), name), 0);
    }
    size_t read(size_t most = SIZE_MAX) {
      char data[16];
      size_t count = 0;
      while (count < most && recv(fd.get(), data, sizeof data, MSG_DONTWAIT) >= 0) count++;
      return count;
    }
    Fd fd;
    Address name;
  };

  static std::shared_ptr<Endpoint> sender(test::IoRig& rig, const Address* to) {
    Fd fd;
    EXPECT_EQ(open_datagram(kLocal, &fd), 0);
    if (to != nullptr) {
      EXPECT_EQ(connect_socket(fd.get(), *to), 0);
    }
    return watch(rig, rig.add(std::move(fd), kLocal));
  }

  static int send(test::IoRig& rig, Endpoint& from, const Address& to) {
    const auto* data = reinterpret_cast<const uint8_t*>("data");
    return rig.thread.send_now(from, {data, 4}, to.family == 0 ? nullptr : &to);
  }
};

INSTANTIATE_TEST_SUITE_P(, IoThreadSendNow, test::both_engines(), test::engine_name);

TEST_P(IoThreadSendNow, keeps_nothing_and_says_once_when_there_is_room) {
  auto rig = start();
  Receiver receiver;
  auto socket = sender(*rig, &receiver.name);
  for (size_t round = 1; round <= 3; round++) {
    size_t sent = 0;
    int result;
    while ((result = send(*rig, *socket, {})) > 0) {
      ASSERT_EQ(result, 4);
      sent++;
    }
    EXPECT_EQ(result, -EAGAIN);
    EXPECT_GT(sent, 0u);
    rig->thread.notify_writable(*socket);
    rig->thread.notify_writable(*socket);
    EXPECT_EQ(receiver.read(1), 1u);
    ASSERT_TRUE(rig->read_records(round));
    EXPECT_EQ(rig->records.back().descriptor.kind, DescriptorKind::drained);
    EXPECT_EQ(rig->records.back().descriptor.socket_id, socket->id);
    EXPECT_EQ(receiver.read(), sent - 1);
  }
  rig->drain();
  EXPECT_EQ(rig->records.size(), 3u);
  EXPECT_EQ(get(*socket, Counter::tx_deferred), 0u);
}

TEST_P(IoThreadSendNow, can_be_told_by_the_loop_that_there_is_room) {
  auto rig = start();
  Receiver receiver;
  auto socket = sender(*rig, &receiver.name);
  EXPECT_TRUE(rig->thread.tell_drained(*socket)) << "the ring is to be read";
  rig->drain();
  ASSERT_EQ(rig->records.size(), 1u);
  EXPECT_EQ(rig->records[0].descriptor.kind, DescriptorKind::drained);
  EXPECT_EQ(rig->records[0].descriptor.socket_id, socket->id);
}

TEST_P(IoThreadSendNow, counts_what_becomes_of_each) {
  auto rig = start();
  auto receiver = std::make_unique<Receiver>();
  auto socket = sender(*rig, &receiver->name);
  uint64_t sent = 0;
  while (send(*rig, *socket, {}) > 0) sent++;
  EXPECT_EQ(get(*socket, Counter::tx_datagrams), sent);
  EXPECT_EQ(get(*socket, Counter::tx_bytes), 4 * sent);
  EXPECT_EQ(get(*socket, Counter::tx_calls), sent + 1);
  EXPECT_EQ(get(*socket, Counter::tx_errors), 0u) << "it is the caller's again";
  receiver.reset();
  EXPECT_EQ(send(*rig, *socket, {}), -ECONNREFUSED);
  EXPECT_EQ(send(*rig, *socket, {}), -ENOTCONN);
  EXPECT_EQ(get(*socket, Counter::tx_errors), 2u);
}

TEST_P(IoThreadSendNow, says_so_when_the_peer_has_gone) {
  auto rig = start();
  auto receiver = std::make_unique<Receiver>();
  auto socket = sender(*rig, &receiver->name);
  while (send(*rig, *socket, {}) > 0) {
  }
  rig->thread.notify_writable(*socket);
  receiver.reset();
  ASSERT_TRUE(rig->read_records(1));
  EXPECT_EQ(send(*rig, *socket, {}), -ECONNREFUSED);
}

TEST_P(IoThreadSendNow, to_a_name_has_the_kernels_result) {
  auto rig = start();
  Receiver receiver;
  auto socket = sender(*rig, nullptr);
  Address nobody;
  ASSERT_EQ(parse_address(kLocal, "/nobody/listens", 0, &nobody), 0);
  EXPECT_EQ(send(*rig, *socket, nobody), -ENOENT);
  size_t sent = 0;
  while (send(*rig, *socket, receiver.name) > 0) sent++;
  EXPECT_EQ(send(*rig, *socket, receiver.name), -EAGAIN);
  EXPECT_EQ(receiver.read(), sent);
  EXPECT_EQ(send(*rig, *socket, receiver.name), 4);
  EXPECT_EQ(socket->local->peers.datagrams(), 0u);
  rig->drain();
  EXPECT_TRUE(rig->records.empty());
}

}  // namespace
}  // namespace ksocket
