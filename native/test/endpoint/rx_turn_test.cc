// What a turn of receiving makes of what came.
#include "core/endpoint/rx_turn.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/answer/fixed_responder.h"
#include "core/base/clock.h"
#include "support/rx_rig.h"

namespace ksocket {
namespace {

using test::address_of;
using test::data_of;
using test::kId;
using test::Record;
using test::RxRig;
using Outcome = RxTurn::Outcome;

// ---- how long datagrams waited

uint64_t sum_of(const uint64_t* cells, uint32_t from, uint32_t to) {
  uint64_t sum = 0;
  for (uint32_t i = from; i < to; i++) sum += cells[i];
  return sum;
}

TEST(RxTurn, counts_how_long_each_datagram_waited_while_somebody_wants_to_know) {
  RxRig rig;
  uint64_t cells[kLatencyCells] = {};
  rig.endpoint.latency = LatencyHistogram(cells);
  uint64_t second_ago = clock_ns(CLOCK_REALTIME) - 1'000'000'000;
  rig.engine.arrive(rig.fd(), {"one", address_of("127.0.0.1", 1000), 0, {}, 0, second_ago});
  rig.engine.arrive(rig.fd(), {"abcdefgh", address_of("127.0.0.1", 1000), 3, {}, 0, second_ago});
  rig.arrive("without a time");
  rig.receive();
  EXPECT_EQ(sum_of(cells, latency_bucket(1'000'000'000), kLatencyBuckets), 4u);
  EXPECT_EQ(sum_of(cells, 0, latency_bucket(1'000'000'000)), 0u);
  EXPECT_GE(cells[kLatencySum], 4'000'000'000u);

  rig.endpoint.latency = {};
  rig.engine.arrive(rig.fd(), {"unobserved", address_of("127.0.0.1", 1000), 0, {}, 0, second_ago});
  rig.receive();
  EXPECT_EQ(sum_of(cells, 0, kLatencyBuckets), 4u);
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], 6u);
}

// ---- what a record says

TEST(RxTurn, describes_a_datagram) {
  RxRig rig;
  rig.arrive("hello", 4242);
  EXPECT_EQ(rig.receive(), Outcome::drained);
  auto records = rig.take();
  ASSERT_EQ(records.size(), 1u);
  const Descriptor& d = records[0].descriptor;
  EXPECT_EQ(records[0].data, "hello");
  EXPECT_EQ(d.kind, DescriptorKind::datagram);
  EXPECT_EQ(d.socket_id, kId);
  EXPECT_EQ(d.length, 5u);
  EXPECT_EQ(d.size, 5u);
  EXPECT_EQ(d.segment_size, 0);
  EXPECT_EQ(d.flags, 0);
  EXPECT_EQ(d.family, 4);
  EXPECT_EQ(d.port, 4242);
  EXPECT_TRUE(read_address(d) == address_of("127.0.0.1", 4242));
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], 1u);
  EXPECT_EQ(rig.counters[Counter::rx_bytes], 5u);
  EXPECT_EQ(rig.counters[Counter::rx_calls], 1u);
  EXPECT_EQ(rig.counters[Counter::rx_batches], 1u);
  EXPECT_EQ(rig.counters[Counter::rx_gro_batches], 0u);
}

TEST(RxTurn, describes_an_ipv6_source_with_its_zone) {
  RxRig rig;
  Address from = address_of("fe80::1%lo", 4242);
  rig.engine.arrive(rig.fd(), {"x", from, 0, {}, 0});
  rig.receive();
  auto records = rig.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_TRUE(read_address(records[0].descriptor) == from);
}

TEST(RxTurn, delivers_empty_datagrams) {
  RxRig rig;
  for (const char* data : {"", "x", ""}) rig.arrive(data);
  rig.receive();
  EXPECT_EQ(data_of(rig.take()), (std::vector<std::string>{"", "x", ""}));
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], 3u);
}

TEST(RxTurn, numbers_peers_and_counts_the_numbers_that_changed_hands) {
  RxRig rig;
  rig.arrive("a", 1);
  rig.arrive("b", 2);
  rig.arrive("c", 1);
  rig.receive();
  auto records = rig.take();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[2].descriptor.peer_id, records[0].descriptor.peer_id);
  EXPECT_NE(records[1].descriptor.peer_id, records[0].descriptor.peer_id);
  EXPECT_EQ(rig.thread_counters[Counter::peer_evictions], 0u);

  for (uint16_t port = 10; port < 200; port++) {
    rig.arrive("flood", port);
    rig.receive();
  }
  EXPECT_GE(rig.thread_counters[Counter::peer_evictions], 190u + 2 - 64);
}

// ---- GRO

TEST(RxTurn, keeps_a_super_datagram_together) {
  RxRig rig;
  rig.arrive(std::string(250, 'x'), 1, 100);
  rig.receive();
  auto records = rig.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].data, std::string(250, 'x'));
  EXPECT_EQ(records[0].descriptor.segment_size, 100);
  EXPECT_EQ(records[0].descriptor.flags, 0);
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], 3u);
  EXPECT_EQ(rig.counters[Counter::rx_bytes], 250u);
  EXPECT_EQ(rig.counters[Counter::rx_gro_batches], 1u);
  EXPECT_EQ(rig.counters[Counter::rx_gro_segments], 3u);
}

// The kernel says the segment size of single datagrams too.
TEST(RxTurn, takes_a_super_datagram_of_one_for_a_datagram) {
  RxRig rig;
  rig.arrive("exact", 1, 5);
  rig.arrive("short", 1, 1000);
  rig.receive();
  for (const Record& record : rig.take()) EXPECT_EQ(record.descriptor.segment_size, 0);
  EXPECT_EQ(rig.counters[Counter::rx_gro_batches], 0u);
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], 2u);
}

// ---- cut

TEST(RxTurn, cuts_a_datagram_to_what_is_kept_and_says_how_long_it_was) {
  RxRig rig;
  rig.endpoint.keep_bytes_max = 10;
  rig.arrive("0123456789abcdef");
  rig.arrive("0123456789");
  rig.receive();
  auto records = rig.take();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].data, "0123456789");
  EXPECT_EQ(records[0].descriptor.size, 16u);
  EXPECT_EQ(records[0].descriptor.flags, kTruncated);
  EXPECT_EQ(records[1].data, "0123456789");
  EXPECT_EQ(records[1].descriptor.size, 10u);
  EXPECT_EQ(records[1].descriptor.flags, 0);
  EXPECT_EQ(rig.counters[Counter::rx_truncated], 1u);
  EXPECT_EQ(rig.counters[Counter::rx_bytes], 26u) << "received is received, kept or not";
}

TEST(RxTurn, cuts_each_datagram_of_a_super_datagram) {
  RxRig rig;
  rig.endpoint.keep_bytes_max = 3;
  rig.arrive("aaaaabbbbbcc", 1, 5);
  rig.receive();
  auto records = rig.take();
  EXPECT_EQ(data_of(records), (std::vector<std::string>{"aaa", "bbb", "cc"}));
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].descriptor.flags, kTruncated);
  EXPECT_EQ(records[1].descriptor.flags, kTruncated);
  EXPECT_EQ(records[2].descriptor.flags, 0);
  for (const Record& record : records) EXPECT_EQ(record.descriptor.segment_size, 0);
  EXPECT_EQ(records[1].descriptor.size, 5u);
  EXPECT_EQ(records[2].descriptor.size, 2u);
  EXPECT_EQ(rig.counters[Counter::rx_truncated], 2u);
}

TEST(RxTurn, leaves_a_super_datagram_whole_whose_datagrams_are_short_enough) {
  RxRig rig;
  rig.endpoint.keep_bytes_max = 5;
  rig.arrive("aaaaabbbbbcc", 1, 5);
  rig.receive();
  EXPECT_EQ(data_of(rig.take()), std::vector<std::string>{"aaaaabbbbbcc"});
  EXPECT_EQ(rig.counters[Counter::rx_truncated], 0u);
}

TEST(RxTurn, may_keep_nothing_but_the_news) {
  RxRig rig;
  rig.endpoint.keep_bytes_max = 0;
  rig.arrive("abc");
  rig.arrive("");
  rig.receive();
  auto records = rig.take();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].data, "");
  EXPECT_EQ(records[0].descriptor.size, 3u);
  EXPECT_TRUE(records[0].descriptor.flags & kTruncated);
  EXPECT_FALSE(records[1].descriptor.flags & kTruncated);
}

// ---- errors

TEST(RxTurn, reports_a_network_error_and_goes_on) {
  RxRig rig;
  rig.fail(ECONNREFUSED);
  rig.arrive("after");
  EXPECT_EQ(rig.receive(), Outcome::more);
  EXPECT_EQ(rig.receive(), Outcome::drained);
  auto records = rig.take();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].descriptor.kind, DescriptorKind::error);
  EXPECT_EQ(records[0].descriptor.result, -ECONNREFUSED);
  EXPECT_EQ(records[0].descriptor.socket_id, kId);
  EXPECT_EQ(records[0].data, "");
  EXPECT_EQ(records[1].data, "after");
  EXPECT_EQ(rig.counters[Counter::rx_errors], 1u);
}

TEST(RxTurn, takes_no_notice_of_signals_and_shortages) {
  RxRig rig;
  for (int error : {EINTR, EAGAIN, ENOMEM, ENOBUFS}) {
    rig.fail(error);
    EXPECT_EQ(rig.receive(), error == EINTR ? Outcome::more : Outcome::drained) << error;
  }
  EXPECT_TRUE(rig.take().empty());
  EXPECT_EQ(rig.counters[Counter::rx_errors], 0u);
}

TEST(RxTurn, gives_up_a_dead_descriptor_and_says_so) {
  RxRig rig;
  rig.fail(EBADF);
  EXPECT_EQ(rig.receive(), Outcome::dead);
  auto records = rig.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].descriptor.result, -EBADF);
}

TEST(RxTurn, counts_an_error_that_the_ring_has_no_room_for) {
  RxRig rig(2);
  rig.endpoint.drop_when_full = true;
  rig.arrive("a");
  rig.arrive("b");
  rig.fail(ECONNREFUSED);
  EXPECT_EQ(rig.receive(), Outcome::drained);
  EXPECT_EQ(rig.receive(), Outcome::more);
  EXPECT_EQ(rig.take().size(), 2u);
  EXPECT_EQ(rig.counters[Counter::rx_errors], 1u);
}

// ---- what the kernel dropped

TEST(RxTurn, counts_what_the_kernel_dropped) {
  RxRig rig;
  auto arrive = [&](uint32_t drops) {
    rig.engine.arrive(rig.fd(), {"x", address_of("127.0.0.1", 1), 0, drops, 0});
    rig.receive();
  };
  arrive(3);
  EXPECT_EQ(rig.counters[Counter::rx_kernel_drops], 3u);
  arrive(3);
  EXPECT_EQ(rig.counters[Counter::rx_kernel_drops], 3u);
  rig.arrive("no word of drops");
  rig.receive();
  EXPECT_EQ(rig.counters[Counter::rx_kernel_drops], 3u);
  arrive(1'000'000'000);
  EXPECT_EQ(rig.counters[Counter::rx_kernel_drops], 1'000'000'000u);
}

TEST(RxTurn, reads_segment_size_and_drops_of_one_datagram) {
  RxRig rig;
  rig.engine.arrive(rig.fd(), {std::string(30, 'x'), address_of("127.0.0.1", 1), 10, 7u, 0});
  rig.receive();
  EXPECT_EQ(rig.take()[0].descriptor.segment_size, 10);
  EXPECT_EQ(rig.counters[Counter::rx_kernel_drops], 7u);
}

// ---- a responder

std::unique_ptr<Responder> responder(RxRig& rig, FixedResponder::Kind kind) {
  FixedResponder::Options options;
  options.kind = kind;
  options.reply = {'o', 'k'};
  return std::make_unique<FixedResponder>(std::move(options), rig.fd(), kDatagramBytesMax, true,
                                          rig.counters);
}

TEST(RxTurn, answers_and_delivers) {
  RxRig rig;
  rig.endpoint.responder = responder(rig, FixedResponder::Kind::echo);
  rig.arrive("hello", 77);
  rig.receive();
  auto sent = rig.engine.sent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].data, "hello");
  EXPECT_EQ(sent[0].to.port, 77);
  EXPECT_EQ(data_of(rig.take()), std::vector<std::string>{"hello"});
  EXPECT_EQ(rig.counters[Counter::tx_datagrams], 1u);
}

TEST(RxTurn, answers_only_where_nobody_listens) {
  RxRig rig;
  rig.endpoint.responder = responder(rig, FixedResponder::Kind::fixed);
  rig.endpoint.deliver = false;
  for (int i = 0; i < 1000; i++) rig.arrive("x", static_cast<uint16_t>(i + 1));
  while (rig.receive() == Outcome::more) {
  }
  EXPECT_EQ(rig.engine.sent().size(), 1000u);
  EXPECT_TRUE(rig.take().empty());
  EXPECT_EQ(rig.counters[Counter::rx_datagrams], 1000u);
}

TEST(RxTurn, goes_on_answering_while_the_ring_is_full) {
  RxRig rig(2);
  rig.endpoint.responder = responder(rig, FixedResponder::Kind::fixed);
  rig.endpoint.drop_when_full = true;
  for (int i = 0; i < 300; i++) rig.arrive("x", static_cast<uint16_t>(i + 1));
  while (rig.receive() == Outcome::more) {
  }
  EXPECT_EQ(rig.engine.sent().size(), 300u);
  EXPECT_EQ(rig.counters[Counter::rx_ring_drops], 298u);
}

}  // namespace
}  // namespace ksocket
