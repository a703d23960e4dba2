// What waits for a socket to be writable, on the fake engine.
#include "core/endpoint/backlog.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/fake_engine.h"
#include "support/ring_memory.h"

namespace ksocket {
namespace {

using Outcome = Backlog::Outcome;

class BacklogTest : public testing::Test {
 protected:
  BacklogTest() {
    engine.on_send([this](const test::Outgoing& message) {
      return message.data == "huge" ? ENOBUFS : room-- > 0 ? 0 : EAGAIN;
    });
  }
  // A deferred datagram with this number for its result.
  uint32_t keep(const std::string& data, uint64_t number, uint16_t segment_size = 0) {
    Descriptor descriptor{};
    descriptor.segment_size = segment_size;
    write_address(test::address_of("127.0.0.1", 4000), &descriptor);
    descriptor.length = static_cast<uint32_t>(data.size());
    descriptor.user_data = number;
    descriptor.result = kResultDeferred;
    return backlog.keep(reinterpret_cast<const uint8_t*>(data.data()), {&descriptor, 1}, {}, counters);
  }
  Backlog::Outcome work_off(int room_now) {
    room = room_now;
    return backlog.work_off(engine, flush, socket, 9, &completions);
  }

  int room = 0;
  test::FakeEngine engine;
  test::CounterRow counters;
  TxFlush flush;
  Fd fd = test::dummy_fd();
  TxSocket socket{fd.get(), 4, counters};
  Backlog backlog;
  std::vector<Descriptor> completions;
};

TEST_F(BacklogTest, counts_each_datagram_of_what_is_joined) {
  EXPECT_EQ(keep("aabbc", 0, 2), 3u);
  EXPECT_EQ(keep("d", 0), 1u);
  EXPECT_EQ(counters[Counter::tx_deferred], 4u);
  EXPECT_EQ(work_off(2), Outcome::blocked);  // gso is off: each leaves alone
  EXPECT_EQ(backlog.datagrams(), 2u);
  EXPECT_EQ(work_off(1), Outcome::blocked);
  EXPECT_EQ(backlog.datagrams(), 1u);
  EXPECT_EQ(keep("eeff", 0, 2), 2u);
  EXPECT_EQ(backlog.clear(), 3u);
  EXPECT_EQ(backlog.datagrams(), 0u);
  EXPECT_EQ(counters[Counter::tx_datagrams], 3u);
}

TEST_F(BacklogTest, sends_what_it_kept_in_order_as_far_as_there_is_room) {
  EXPECT_EQ(keep("one", 1), 1u);
  EXPECT_EQ(keep("two", 0), 1u);
  EXPECT_EQ(keep("three", 3), 1u);
  EXPECT_EQ(backlog.datagrams(), 3u);
  EXPECT_EQ(backlog.payload_bytes(), 11u);
  EXPECT_EQ(work_off(2), Outcome::blocked);
  EXPECT_EQ(backlog.datagrams(), 1u);
  EXPECT_EQ(backlog.payload_bytes(), 5u);
  EXPECT_EQ(work_off(2), Outcome::empty);
  EXPECT_TRUE(backlog.empty());
  EXPECT_EQ(backlog.payload_bytes(), 0u);
  std::vector<std::string> sent;
  for (const auto& each : engine.sent()) sent.push_back(each.data);
  EXPECT_EQ(sent, (std::vector<std::string>{"one", "two", "three"}));
  ASSERT_EQ(completions.size(), 2u) << "nobody asked about the second";
  EXPECT_EQ(completions[0].user_data, 1u);
  EXPECT_EQ(completions[1].user_data, 3u);
  for (const Descriptor& each : completions) {
    EXPECT_EQ(each.kind, DescriptorKind::sent);
    EXPECT_EQ(each.socket_id, 9u);
  }
}

TEST_F(BacklogTest, sends_many_with_one_call_and_keeps_the_order_of_what_is_left) {
  std::vector<std::string> all;
  for (int i = 0; i < 150; i++) {
    all.push_back(std::string(static_cast<size_t>(i % 7), 'x') + std::to_string(i));
    keep(all.back(), static_cast<uint64_t>(i + 1));
  }
  EXPECT_EQ(work_off(100), Outcome::blocked);
  EXPECT_EQ(counters[Counter::tx_calls], 3u) << "a block that is full, one that is taken in part, EAGAIN";
  EXPECT_EQ(backlog.datagrams(), 50u);
  keep("behind it", 151);
  all.push_back("behind it");
  EXPECT_EQ(work_off(0), Outcome::stuck);
  EXPECT_EQ(work_off(1000), Outcome::empty);
  EXPECT_EQ(counters[Counter::tx_calls], 6u);
  std::vector<std::string> sent;
  for (const auto& each : engine.sent()) sent.push_back(each.data);
  EXPECT_EQ(sent, all);
  ASSERT_EQ(completions.size(), all.size());
  for (size_t i = 0; i < all.size(); i++) {
    EXPECT_EQ(completions[i].user_data, i + 1);
    EXPECT_EQ(completions[i].result, static_cast<int32_t>(all[i].size()));
  }
  EXPECT_EQ(backlog.bytes(), 0u);
}

TEST_F(BacklogTest, splits_what_is_large_into_blocks) {
  std::string large(60'000, 'x');
  std::vector<uint8_t> payload(large.begin(), large.end());
  std::vector<Descriptor> descriptors(10);
  for (Descriptor& each : descriptors) {
    write_address(test::address_of("127.0.0.1", 4000), &each);
    each.length = static_cast<uint32_t>(payload.size());
    each.result = kResultDeferred;
  }
  descriptors[5].result = 1;  // has left
  EXPECT_EQ(backlog.keep(payload.data(), descriptors, {}, counters, 400'000), 6u);
  EXPECT_EQ(descriptors[9].result, -ENOBUFS);
  EXPECT_EQ(counters[Counter::tx_dropped], 3u);
  EXPECT_EQ(backlog.payload_bytes(), 360'000u);
  EXPECT_EQ(work_off(5), Outcome::blocked);
  EXPECT_EQ(backlog.payload_bytes(), 60'000u);
  EXPECT_EQ(work_off(5), Outcome::empty);
  ASSERT_EQ(engine.sent().size(), 6u);
  for (const auto& each : engine.sent()) EXPECT_EQ(each.data, large);
}

// What lies in the buffer may make room; where nothing does, nothing will.
TEST_F(BacklogTest, gives_up_what_no_send_buffer_takes_once_nothing_lies_in_it) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  Fd ours(ends[0]), other(ends[1]);
  socket.fd = ours.get();
  char byte = 'x';
  ASSERT_EQ(send(ours.get(), &byte, 1, 0), 1);
  EXPECT_EQ(keep("huge", 1), 1u);
  EXPECT_EQ(keep("behind", 2), 1u);
  EXPECT_EQ(work_off(1), Outcome::stuck);
  EXPECT_EQ(backlog.datagrams(), 2u);
  EXPECT_TRUE(completions.empty());
  ASSERT_EQ(recv(other.get(), &byte, 1, 0), 1);
  EXPECT_EQ(work_off(1), Outcome::empty);
  ASSERT_EQ(completions.size(), 2u);
  EXPECT_EQ(completions[0].result, -ENOBUFS);
  EXPECT_EQ(completions[1].result, 6);
}

TEST_F(BacklogTest, says_later_what_was_to_be_said) {
  Source source{};
  inet_pton(AF_INET, "127.0.0.9", source.address);
  source.tx_time_ns = 99;
  std::vector<Source> sources(3);
  sources[2] = source;
  Descriptor descriptor{};
  write_address(test::address_of("127.0.0.1", 4000), &descriptor);
  descriptor.length = 1;
  descriptor.flags = kSaysMore | kTimed;
  descriptor.send_id = 77;
  descriptor.tos = kTosSaid | 46;
  descriptor.source = 3;
  descriptor.result = kResultDeferred;
  uint8_t payload = 'x';
  EXPECT_EQ(backlog.keep(&payload, {&descriptor, 1}, sources, counters), 1u);
  sources.clear();  // another flush's by now
  EXPECT_EQ(keep("plain", 0), 1u);
  EXPECT_EQ(work_off(2), Outcome::empty);
  ASSERT_EQ(engine.sent().size(), 2u);
  EXPECT_EQ(engine.sent()[0].more, "tos=46 timed=2 id=77 at=99 from=127.0.0.9 by=0");
  EXPECT_EQ(engine.sent()[1].more, "");
}

TEST_F(BacklogTest, says_once_that_it_is_drained_and_only_if_asked) {
  EXPECT_FALSE(backlog.notify_drained()) << "it is";
  keep("one", 0);
  EXPECT_TRUE(backlog.notify_drained());
  EXPECT_EQ(work_off(1), Outcome::empty);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].kind, DescriptorKind::drained);
  keep("two", 0);
  EXPECT_EQ(work_off(1), Outcome::empty);
  EXPECT_EQ(completions.size(), 1u);
}

TEST_F(BacklogTest, tells_a_socket_that_takes_nothing_from_one_that_takes_some) {
  keep("one", 1);
  keep("two", 2);
  EXPECT_EQ(work_off(0), Outcome::stuck);
  EXPECT_EQ(work_off(1), Outcome::blocked);
  EXPECT_EQ(work_off(0), Outcome::stuck);
  EXPECT_EQ(work_off(1), Outcome::empty);
  EXPECT_EQ(completions.size(), 2u);
}

// More fragments than the send buffer takes, whenever it is tried.
TEST_F(BacklogTest, reports_what_a_writable_socket_has_no_room_for_and_sends_the_rest) {
  keep("one", 1);
  keep("huge", 2);
  keep("two", 3);
  EXPECT_EQ(work_off(9), Outcome::blocked) << "something of ours may lie in the buffer still";
  EXPECT_EQ(completions.size(), 1u);
  EXPECT_EQ(work_off(9), Outcome::empty);
  ASSERT_EQ(completions.size(), 3u);
  EXPECT_EQ(completions[1].user_data, 2u);
  EXPECT_EQ(completions[1].result, -ENOBUFS);
  EXPECT_EQ(completions[2].result, 3);
  EXPECT_EQ(counters[Counter::tx_errors], 1u);
  EXPECT_EQ(counters[Counter::tx_datagrams], 2u);
  EXPECT_EQ(backlog.payload_bytes(), 0u);
}

TEST_F(BacklogTest, can_be_used_again_after_it_was_cleared) {
  keep("one", 1);
  keep("two", 2);
  EXPECT_EQ(backlog.clear(), 2u);
  EXPECT_EQ(backlog.payload_bytes(), 0u);
  keep("three", 3);
  EXPECT_EQ(backlog.payload_bytes(), 5u);
  EXPECT_EQ(work_off(9), Outcome::empty);
  EXPECT_EQ(completions.size(), 1u);
}

}  // namespace
}  // namespace ksocket
