// Engines: receiving and sending, on both and a real kernel.
#include "engine/engine.h"

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/control/control.h"
#include "core/datapath/rx_batch.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"
#include "support/engines.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::Peer;

class EngineTest : public test::OnEachEngine {
 protected:
  std::unique_ptr<Engine> engine = make_engine();
};

INSTANTIATE_TEST_SUITE_P(, EngineTest, test::both_engines(), test::engine_name);

TEST_P(EngineTest, says_its_name) {
  EXPECT_STREQ(engine->name(), GetParam());
}

TEST_P(EngineTest, receives_several_datagrams_with_their_lengths_and_sources) {
  Peer socket, one, two;
  RxBatch batch;
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(8)), -EAGAIN);
  ASSERT_TRUE(one.send(socket.address(), "hello"));
  ASSERT_TRUE(two.send(socket.address(), ""));
  ASSERT_TRUE(one.send(socket.address(), std::string(2000, 'x')));
  ASSERT_EQ(engine->receive(socket.fd(), batch.slots(8)), 3);
  EXPECT_EQ(batch.message(0).length, 5u);
  EXPECT_EQ(std::memcmp(batch.base() + RxBatch::offset(0), "hello", 5), 0);
  EXPECT_EQ(batch.message(1).length, 0u);
  EXPECT_EQ(batch.message(2).length, 2000u);
  EXPECT_TRUE(from_sockaddr(batch.name(0)) == one.address());
  EXPECT_TRUE(from_sockaddr(batch.name(1)) == two.address());
  batch.recycle(3);
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(8)), -EAGAIN);
}

TEST_P(EngineTest, receives_no_more_than_it_is_given_room_for) {
  Peer socket, other;
  for (int i = 0; i < 5; i++) ASSERT_TRUE(other.send(socket.address(), std::to_string(i)));
  RxBatch batch;
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(2)), 2);
  batch.recycle(2);
  EXPECT_EQ(engine->receive(socket.fd(), batch.slots(64)), 3);
  EXPECT_EQ(batch.base()[RxBatch::offset(0)], '2');
}

TEST_P(EngineTest, hands_back_the_errno_of_a_bad_descriptor) {
  RxBatch batch;
  EXPECT_EQ(engine->receive(-1, batch.slots(1)), -EBADF);
  Message message{};
  EXPECT_EQ(engine->send(-1, {&message, 1}), -EBADF);
}

// Messages to one destination.
struct Batch {
  Batch(const Address& to, const std::vector<std::string>& data) : name(to_sockaddr(to)), payloads(data) {
    for (std::string& payload : payloads) iovs.push_back({payload.data(), payload.size()});
    for (iovec& iov : iovs) {
      Message& message = messages.emplace_back();
      message = {};
      message.header.msg_iov = &iov;
      message.header.msg_iovlen = 1;
      message.header.msg_name = &name.any;
      message.header.msg_namelen = name.length;
    }
  }
  std::span<Message> from(size_t first) { return std::span(messages).subspan(first); }

  SockAddr name;
  std::vector<std::string> payloads;
  std::vector<iovec> iovs;
  std::vector<Message> messages;
};

TEST_P(EngineTest, sends_several_datagrams) {
  Peer socket, other;
  Batch batch(other.address(), {"one", "", "three"});
  EXPECT_EQ(engine->send(socket.fd(), batch.from(0)), 3);
  Address from;
  EXPECT_EQ(other.receive(&from), "one");
  EXPECT_TRUE(from == socket.address());
  EXPECT_EQ(other.receive(), "");
  EXPECT_EQ(other.receive(), "three");
}

TEST_P(EngineTest, says_of_a_lone_datagram_how_long_it_was_whether_it_has_an_address_or_not) {
  Peer socket, other;
  Batch batch(other.address(), {"to an address", "to whom it is connected", ""});
  EXPECT_EQ(engine->send(socket.fd(), batch.from(0).first(1)), 1);
  EXPECT_EQ(batch.messages[0].length, batch.payloads[0].size());
  ASSERT_EQ(connect_socket(socket.fd(), other.address()), 0);
  for (Message& message : batch.from(1)) {
    message.header.msg_name = nullptr;
    message.header.msg_namelen = 0;
    message.length = 99;
    EXPECT_EQ(engine->send(socket.fd(), {&message, 1}), 1);
    EXPECT_EQ(message.length, message.header.msg_iov->iov_len);
  }
  for (const std::string& payload : batch.payloads) EXPECT_EQ(other.receive(), payload);
}

TEST_P(EngineTest, sends_a_lone_datagram_of_pieces_whole) {
  Peer socket, other;
  Batch batch(other.address(), {"one", "two"});
  Message& message = batch.messages[0];
  message.header.msg_iov = batch.iovs.data();
  message.header.msg_iovlen = 2;
  EXPECT_EQ(engine->send(socket.fd(), {&message, 1}), 1);
  EXPECT_EQ(message.length, 6u);
  EXPECT_EQ(other.receive(), "onetwo");
}

TEST_P(EngineTest, stops_before_the_message_that_fails_and_then_says_why) {
  Peer socket, other;
  Batch batch(other.address(), {"one", std::string(65508, 'x'), "three"});
  EXPECT_EQ(engine->send(socket.fd(), batch.from(0)), 1);
  EXPECT_EQ(engine->send(socket.fd(), batch.from(1)), -EMSGSIZE);
  EXPECT_EQ(engine->send(socket.fd(), batch.from(2)), 1);
  EXPECT_EQ(other.receive(), "one");
  EXPECT_EQ(other.receive(), "three");
  EXPECT_TRUE(other.quiet());
}

TEST_P(EngineTest, sends_and_receives_super_datagrams_where_it_says_so) {
  if (!engine->traits().offloads) {
    EXPECT_STREQ(GetParam(), "posix") << "only the scalar engine leaves GRO and GSO alone";
    return;
  }
  Peer socket, other;
  if (set_option(other.fd(), 4, SocketOption::gro, 1) != 0) GTEST_SKIP() << "a kernel without UDP_GRO";
  Batch batch(other.address(), {std::string(3000, 'a') + std::string(500, 'b')});
  alignas(cmsghdr) uint8_t control[kTxControlBytes];
  batch.messages[0].header.msg_control = control;
  append_segment_size(&batch.messages[0].header, 1000);
  ASSERT_EQ(engine->send(socket.fd(), batch.from(0)), 1);

  RxBatch received;
  ASSERT_EQ(engine->receive(other.fd(), received.slots(8)), 1) << "loopback joins what was sent joined";
  EXPECT_EQ(received.message(0).length, 3500u);
  EXPECT_EQ(decode_control(received.message(0).header).segment_size, 1000);
}

// A control buffer too short for one of them would cut GRO's segment size, and with it the boundaries.
TEST_P(EngineTest, is_told_drops_segment_size_and_time_beside_one_datagram) {
  Peer socket, other;
  set_option(other.fd(), 4, SocketOption::gro, 1);  // the kernel may lack it
  ASSERT_EQ(set_option(other.fd(), 4, SocketOption::report_kernel_drops, 1), 0);
  ASSERT_EQ(set_option(other.fd(), 4, SocketOption::receive_times, 1), 0);
  ASSERT_EQ(set_option(other.fd(), 4, SocketOption::receive_buffer_bytes, 1), 0);  // the least there is
  for (int i = 0; i < 100; i++) socket.send(other.address(), std::string(1000, 'x'));
  RxBatch received;
  while (int n = std::max(engine->receive(other.fd(), received.slots(64)), 0))
    received.recycle(static_cast<uint32_t>(n));
  ASSERT_EQ(set_option(other.fd(), 4, SocketOption::receive_buffer_bytes, 1 << 20), 0);

  Batch batch(other.address(), {std::string(3500, 'a')});
  alignas(cmsghdr) uint8_t control[kTxControlBytes];
  if (engine->traits().offloads) {
    batch.messages[0].header.msg_control = control;
    append_segment_size(&batch.messages[0].header, 1000);
  }
  ASSERT_EQ(engine->send(socket.fd(), batch.from(0)), 1);
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);

  int n = engine->receive(other.fd(), received.slots(8));
  ASSERT_GE(n, 1);
  const msghdr& header = received.message(0).header;
  RxControl said = decode_control(header);
  EXPECT_EQ(header.msg_flags & MSG_CTRUNC, 0);
  EXPECT_GT(said.kernel_drops.value_or(0), 0u);
  EXPECT_NEAR(static_cast<double>(said.received_ns) / 1e9, static_cast<double>(now.tv_sec), 60);
  bool joined = n == 1 && engine->traits().offloads;
  EXPECT_EQ(said.segment_size, joined ? 1000 : 0);
}

}  // namespace
}  // namespace ksocket
