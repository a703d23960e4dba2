// What the kernel drops of back ends' answers, while their flows go to another process.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <vector>

#include "core/socket/options.h"
#include "support/flow_rows.h"

namespace ksocket {
namespace {

using test::known_of;
using test::Peer;
using test::Relay;
using test::Rows;
using test::rows_of;
using test::take;

// Answers that the kernel drops, whose count is the socket's: each is counted by one of the two.
class FlowsDropsTest : public ::testing::Test {
 protected:
  FlowsDropsTest() {
    before->arrive(client.address(), "1");
    EXPECT_EQ(back_end.receive(&flow), "1");
    EXPECT_EQ(set_option(fd(), 4, SocketOption::receive_buffer_bytes, 1), 0);  // the kernel's least
  }
  int fd() { return before->watched.begin()->second; }
  // So many that nobody reads but the test. How many are dropped.
  uint64_t drop() {
    constexpr int kSent = 500;
    for (int i = 0; i < kSent; i++) EXPECT_TRUE(back_end.send(flow, "x"));
    char byte;
    uint64_t kept = 0;
    while (recv(fd(), &byte, 1, MSG_DONTWAIT) >= 0) kept++;
    EXPECT_LT(kept, static_cast<uint64_t>(kSent));
    return kSent - kept;
  }
  static uint64_t counted(Relay& relay) { return relay.row[Counter::rx_kernel_drops]; }

  Peer back_end, client;
  std::unique_ptr<Relay> before = std::make_unique<Relay>(std::vector<const Peer*>{&back_end});
  Relay after{{&back_end}};
  Address flow;
};

TEST_F(FlowsDropsTest, one_of_two_counts_each) {
  uint64_t dropped = drop();
  Rows offered = rows_of(*before);
  take(after, offered);
  dropped += drop();
  before->forwarder->stop_drops();
  EXPECT_EQ(counted(*before), dropped);
  take(after, rows_of(*before, known_of(offered)));
  uint64_t late = drop();
  after.forwarder->settle();
  after.forwarder->begin();
  late += drop();
  before->forwarder.reset();
  EXPECT_EQ(counted(*before), dropped);
  after.forwarder.reset();
  EXPECT_EQ(counted(after), late);
}

TEST_F(FlowsDropsTest, a_flow_that_does_not_begin_there_counts_nothing) {
  uint64_t dropped = drop();
  take(after, rows_of(*before));
  dropped += drop();
  after.forwarder.reset();
  EXPECT_EQ(counted(after), 0u);
  before->forwarder->stop_drops();
  dropped += drop();
  before->forwarder->count_drops();  // it goes on
  before->forwarder.reset();
  EXPECT_EQ(counted(*before), dropped);
}

}  // namespace
}  // namespace ksocket
