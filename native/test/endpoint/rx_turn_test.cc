#include "core/endpoint/rx_turn.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <random>
#include <string>
#include <vector>

#include "core/answer/fixed_responder.h"
#include "core/base/clock.h"
#include "support/fake_engine.h"
#include "support/ring_memory.h"
#include "support/ring_reader.h"

namespace ksocket {

static void PrintTo(RxTurn::Outcome outcome, std::ostream* out) {
  static const char* names[] = {"drained", "more", "full", "dead"};
  *out << names[static_cast<int>(outcome)];
}

namespace {

using test::address_of;
using test::Arrival;
using Outcome = RxTurn::Outcome;

constexpr uint32_t kId = 5 | 3 << kSocketSlotBits;

struct Record {
  Descriptor descriptor;
  std::string data;
};

// A receive loop with one socket on the fake engine, and the ring's reader.
class Loop {
 public:
  explicit Loop(uint32_t slots = 256, uint32_t arena_bytes = 8 << 20)
      : buffers(slots, arena_bytes), ring(buffers.memory()), reader(buffers.memory()) {}

  int fd() const { return endpoint.fd.get(); }
  void arrive(const std::string& data, uint16_t port = 1000, uint16_t segment_size = 0) {
    engine.arrive(fd(), {data, address_of("127.0.0.1", port), segment_size, {}, 0});
  }
  void fail(int error) { engine.arrive(fd(), {"", {}, 0, {}, error}); }
  Outcome receive() { return loop.receive(endpoint); }
  std::vector<Record> take(uint32_t budget = test::RingReader::kNoLimit) {
    if (ring.has_unpublished()) ring.publish();
    std::vector<Record> out;
    reader.drain(
        [&](const Descriptor& d, std::span<const uint8_t> data) {
          out.push_back({d, {data.begin(), data.end()}});
        },
        budget);
    return out;
  }

  test::FakeEngine engine;
  test::RingBuffers buffers;
  test::CounterRow counters, thread_counters;
  RxRing ring;
  test::RingReader reader;
  PeerTable peers{64, 1};
  TxFlush flush;
  RxTurn loop{engine, ring, peers, flush, thread_counters};
  Endpoint endpoint{kId, 4, test::dummy_fd(), counters};
};

std::vector<std::string> data_of(const std::vector<Record>& records) {
  std::vector<std::string> out;
  for (const Record& record : records) out.push_back(record.data);
  return out;
}

// ---- how long datagrams waited

uint64_t sum_of(const uint64_t* cells, uint32_t from, uint32_t to) {
  uint64_t sum = 0;
  for (uint32_t i = from; i < to; i++) sum += cells[i];
  return sum;
}

TEST(RxTurn, counts_how_long_each_datagram_waited_while_somebody_wants_to_know) {
  Loop loop;
  uint64_t cells[kLatencyCells] = {};
  loop.endpoint.latency = LatencyHistogram(cells);
  uint64_t second_ago = clock_ns(CLOCK_REALTIME) - 1'000'000'000;
  loop.engine.arrive(loop.fd(), {"one", address_of("127.0.0.1", 1000), 0, {}, 0, second_ago});
  loop.engine.arrive(loop.fd(), {"abcdefgh", address_of("127.0.0.1", 1000), 3, {}, 0, second_ago});
  loop.arrive("without a time");
  loop.receive();
  EXPECT_EQ(sum_of(cells, latency_bucket(1'000'000'000), kLatencyBuckets), 4u);
  EXPECT_EQ(sum_of(cells, 0, latency_bucket(1'000'000'000)), 0u);
  EXPECT_GE(cells[kLatencySum], 4'000'000'000u);

  loop.endpoint.latency = {};
  loop.engine.arrive(loop.fd(), {"unobserved", address_of("127.0.0.1", 1000), 0, {}, 0, second_ago});
  loop.receive();
  EXPECT_EQ(sum_of(cells, 0, kLatencyBuckets), 4u);
  EXPECT_EQ(loop.counters[Counter::rx_datagrams], 6u);
}

// ---- what a record says

TEST(RxTurn, describes_a_datagram) {
  Loop loop;
  loop.arrive("hello", 4242);
  EXPECT_EQ(loop.receive(), Outcome::drained);
  auto records = loop.take();
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
  EXPECT_EQ(loop.counters[Counter::rx_datagrams], 1u);
  EXPECT_EQ(loop.counters[Counter::rx_bytes], 5u);
  EXPECT_EQ(loop.counters[Counter::rx_calls], 1u);
  EXPECT_EQ(loop.counters[Counter::rx_batches], 1u);
  EXPECT_EQ(loop.counters[Counter::rx_gro_batches], 0u);
}

TEST(RxTurn, describes_an_ipv6_source_with_its_zone) {
  Loop loop;
  Address from = address_of("fe80::1%lo", 4242);
  loop.engine.arrive(loop.fd(), {"x", from, 0, {}, 0});
  loop.receive();
  auto records = loop.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_TRUE(read_address(records[0].descriptor) == from);
}

TEST(RxTurn, delivers_empty_datagrams) {
  Loop loop;
  for (const char* data : {"", "x", ""}) loop.arrive(data);
  loop.receive();
  EXPECT_EQ(data_of(loop.take()), (std::vector<std::string>{"", "x", ""}));
  EXPECT_EQ(loop.counters[Counter::rx_datagrams], 3u);
}

TEST(RxTurn, numbers_peers_and_counts_the_numbers_that_changed_hands) {
  Loop loop;
  loop.arrive("a", 1);
  loop.arrive("b", 2);
  loop.arrive("c", 1);
  loop.receive();
  auto records = loop.take();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[2].descriptor.peer_id, records[0].descriptor.peer_id);
  EXPECT_NE(records[1].descriptor.peer_id, records[0].descriptor.peer_id);
  EXPECT_EQ(loop.thread_counters[Counter::peer_evictions], 0u);

  for (uint16_t port = 10; port < 200; port++) {
    loop.arrive("flood", port);
    loop.receive();
  }
  EXPECT_GE(loop.thread_counters[Counter::peer_evictions], 190u + 2 - 64);
}

// ---- GRO

TEST(RxTurn, keeps_a_super_datagram_together) {
  Loop loop;
  loop.arrive(std::string(250, 'x'), 1, 100);
  loop.receive();
  auto records = loop.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].data, std::string(250, 'x'));
  EXPECT_EQ(records[0].descriptor.segment_size, 100);
  EXPECT_EQ(records[0].descriptor.flags, 0);
  EXPECT_EQ(loop.counters[Counter::rx_datagrams], 3u);
  EXPECT_EQ(loop.counters[Counter::rx_bytes], 250u);
  EXPECT_EQ(loop.counters[Counter::rx_gro_batches], 1u);
  EXPECT_EQ(loop.counters[Counter::rx_gro_segments], 3u);
}

// The kernel says the segment size of single datagrams too.
TEST(RxTurn, takes_a_super_datagram_of_one_for_a_datagram) {
  Loop loop;
  loop.arrive("exact", 1, 5);
  loop.arrive("short", 1, 1000);
  loop.receive();
  for (const Record& record : loop.take()) EXPECT_EQ(record.descriptor.segment_size, 0);
  EXPECT_EQ(loop.counters[Counter::rx_gro_batches], 0u);
  EXPECT_EQ(loop.counters[Counter::rx_datagrams], 2u);
}

// ---- cut

TEST(RxTurn, cuts_a_datagram_to_what_is_kept_and_says_how_long_it_was) {
  Loop loop;
  loop.endpoint.keep_bytes_max = 10;
  loop.arrive("0123456789abcdef");
  loop.arrive("0123456789");
  loop.receive();
  auto records = loop.take();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].data, "0123456789");
  EXPECT_EQ(records[0].descriptor.size, 16u);
  EXPECT_EQ(records[0].descriptor.flags, kTruncated);
  EXPECT_EQ(records[1].data, "0123456789");
  EXPECT_EQ(records[1].descriptor.size, 10u);
  EXPECT_EQ(records[1].descriptor.flags, 0);
  EXPECT_EQ(loop.counters[Counter::rx_truncated], 1u);
  EXPECT_EQ(loop.counters[Counter::rx_bytes], 26u) << "received is received, kept or not";
}

TEST(RxTurn, cuts_each_datagram_of_a_super_datagram) {
  Loop loop;
  loop.endpoint.keep_bytes_max = 3;
  loop.arrive("aaaaabbbbbcc", 1, 5);
  loop.receive();
  auto records = loop.take();
  EXPECT_EQ(data_of(records), (std::vector<std::string>{"aaa", "bbb", "cc"}));
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].descriptor.flags, kTruncated);
  EXPECT_EQ(records[1].descriptor.flags, kTruncated);
  EXPECT_EQ(records[2].descriptor.flags, 0);
  for (const Record& record : records) EXPECT_EQ(record.descriptor.segment_size, 0);
  EXPECT_EQ(records[1].descriptor.size, 5u);
  EXPECT_EQ(records[2].descriptor.size, 2u);
  EXPECT_EQ(loop.counters[Counter::rx_truncated], 2u);
}

TEST(RxTurn, leaves_a_super_datagram_whole_whose_datagrams_are_short_enough) {
  Loop loop;
  loop.endpoint.keep_bytes_max = 5;
  loop.arrive("aaaaabbbbbcc", 1, 5);
  loop.receive();
  EXPECT_EQ(data_of(loop.take()), std::vector<std::string>{"aaaaabbbbbcc"});
  EXPECT_EQ(loop.counters[Counter::rx_truncated], 0u);
}

TEST(RxTurn, may_keep_nothing_but_the_news) {
  Loop loop;
  loop.endpoint.keep_bytes_max = 0;
  loop.arrive("abc");
  loop.arrive("");
  loop.receive();
  auto records = loop.take();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].data, "");
  EXPECT_EQ(records[0].descriptor.size, 3u);
  EXPECT_TRUE(records[0].descriptor.flags & kTruncated);
  EXPECT_FALSE(records[1].descriptor.flags & kTruncated);
}

// ---- how far a turn goes

TEST(RxTurn, reads_a_batch_a_turn) {
  Loop loop;
  for (uint32_t i = 0; i < RxBatch::kSlots + 1; i++) loop.arrive(std::to_string(i));
  EXPECT_EQ(loop.receive(), Outcome::more);
  EXPECT_EQ(loop.take().size(), RxBatch::kSlots);
  EXPECT_EQ(loop.receive(), Outcome::drained);
  EXPECT_EQ(loop.take().size(), 1u);
  EXPECT_EQ(loop.receive(), Outcome::drained);
  EXPECT_EQ(loop.counters[Counter::rx_errors], 0u);
  EXPECT_EQ(loop.counters[Counter::rx_calls], 3u);
  EXPECT_EQ(loop.counters[Counter::rx_batches], 2u);
}

// The kernel overwrites the headers it uses.
TEST(RxTurn, prepares_its_buffers_again_for_the_next_batch) {
  Loop loop;
  for (int round = 0; round < 5; round++) {
    for (uint16_t i = 0; i < 40; i++) loop.engine.arrive(loop.fd(), {"x", address_of("::1", i), 0, {}, 0});
    loop.arrive(std::string(65507, 'y'), 9, 1400);
    loop.arrive("plain", 8);
    loop.receive();
    auto records = loop.take();
    ASSERT_EQ(records.size(), 42u);
    EXPECT_EQ(records[0].descriptor.family, 6);
    EXPECT_EQ(records[40].descriptor.segment_size, 1400);
    EXPECT_EQ(records[40].data.size(), 65507u);
    EXPECT_EQ(records[41].descriptor.segment_size, 0);
    EXPECT_EQ(records[41].descriptor.family, 4);
  }
}

// ---- a full ring

TEST(RxTurn, reads_nothing_that_the_ring_could_not_take) {
  Loop loop(256, 3 * kDatagramBytesMax);
  for (int i = 0; i < 10; i++) loop.arrive(std::string(100, static_cast<char>('a' + i)));
  EXPECT_EQ(loop.receive(), Outcome::more);
  EXPECT_EQ(loop.engine.offered(), 3u) << "room for three of the largest";
  EXPECT_EQ(loop.engine.waiting(loop.fd()), 7u);
  // Three small ones leave room for two more of the largest, and so on.
  while (loop.receive() == Outcome::more) {
  }
  EXPECT_EQ(loop.engine.waiting(loop.fd()), 10u - loop.take().size());
  EXPECT_EQ(loop.counters[Counter::rx_ring_drops], 0u);
}

TEST(RxTurn, says_that_the_ring_is_full_without_asking_the_kernel) {
  Loop loop(4);
  for (int i = 0; i < 10; i++) loop.arrive(std::to_string(i));
  EXPECT_EQ(loop.receive(), Outcome::more);
  EXPECT_EQ(loop.receive(), Outcome::ring_full);
  EXPECT_EQ(loop.engine.receive_calls(), 1u);
  EXPECT_EQ(data_of(loop.take(1)), std::vector<std::string>{"0"});
  EXPECT_EQ(loop.receive(), Outcome::more);
  EXPECT_EQ(loop.receive(), Outcome::ring_full);
  EXPECT_EQ(data_of(loop.take()), (std::vector<std::string>{"1", "2", "3", "4"}));
  EXPECT_EQ(loop.counters[Counter::rx_ring_drops], 0u);
  EXPECT_EQ(loop.engine.waiting(loop.fd()), 5u);
}

// ---- super-datagrams

// Once large ones come they are received into the ring itself; whatever comes then, records and counters are
// the same.
TEST(RxTurn, delivers_large_and_small_in_any_mixture) {
  std::mt19937 random(7);
  Loop loop(256, 2 << 20);
  std::vector<std::string> sent, received;
  bool large = true;
  for (int round = 0; round < 2000; round++) {
    if (random() % 8 == 0) large = !large;
    for (uint32_t i = 0, n = random() % 24; i < n; i++) {
      size_t bytes = large ? 60'000 + random() % 5'500 : random() % 1500;
      if (random() % 16 == 0) bytes = random() % 65'507;
      std::string data(bytes, static_cast<char>('a' + random() % 26));
      loop.arrive(data, static_cast<uint16_t>(1000 + random() % 8), bytes > 1400 ? 1400 : 0);
      sent.push_back(std::move(data));
    }
    Outcome outcome = loop.receive();
    ASSERT_NE(outcome, Outcome::dead);
    for (Record& record : loop.take(random() % 3 == 0 ? random() % 8 : test::RingReader::kNoLimit)) {
      ASSERT_EQ(record.descriptor.segment_size, record.data.size() > 1400 ? 1400 : 0);
      received.push_back(std::move(record.data));
    }
  }
  for (int i = 0; i < 20'000 && received.size() < sent.size(); i++) {
    loop.receive();
    for (Record& record : loop.take()) received.push_back(std::move(record.data));
  }
  ASSERT_EQ(received.size(), sent.size());
  for (size_t i = 0; i < sent.size(); i++) ASSERT_TRUE(received[i] == sent[i]) << i;
  EXPECT_EQ(loop.counters[Counter::rx_ring_drops], 0u);
}

TEST(RxTurn, receives_large_ones_a_few_at_a_time_and_small_ones_by_the_batch) {
  Loop loop;
  loop.arrive(std::string(60'000, 'x'), 1, 1400);
  loop.receive();
  EXPECT_EQ(loop.engine.offered(), RxBatch::kSlots);
  loop.arrive("small", 1);
  loop.receive();
  EXPECT_LT(loop.engine.offered(), RxBatch::kSlots);
  loop.take();
  loop.receive();
  loop.arrive("small", 1);
  loop.receive();
  EXPECT_EQ(loop.engine.offered(), RxBatch::kSlots);
  EXPECT_EQ(data_of(loop.take()), std::vector<std::string>{"small"});
}

TEST(RxTurn, says_that_the_kernel_had_more_than_one_call_takes) {
  Loop loop;
  auto is_full = [&](int datagrams, const std::string& data) {
    for (int i = 0; i < datagrams; i++) loop.arrive(data, 1);
    loop.receive();
    loop.take();
    return loop.loop.take_round().filled;
  };
  EXPECT_FALSE(is_full(RxBatch::kSlots - 1, "small"));
  EXPECT_TRUE(is_full(RxBatch::kSlots, "small"));
  const std::string large(60'000, 'x');
  EXPECT_FALSE(is_full(1, large)) << "from now on fewer places are offered";
  EXPECT_FALSE(is_full(7, large));
  EXPECT_TRUE(is_full(8, large));
}

// Cutting makes many records of one message: they need room as well.
TEST(RxTurn, loses_nothing_of_super_datagrams_that_it_cuts_while_the_ring_fills_up) {
  Loop loop(128);
  loop.endpoint.keep_bytes_max = 2;
  constexpr uint32_t kMessages = 20, kSegments = 40;
  for (uint32_t i = 0; i < kMessages; i++) loop.arrive(std::string(kSegments * 10, 'x'), 1, 10);
  uint32_t seen = 0;
  for (int turn = 0; turn < 1000 && seen < kMessages * kSegments; turn++) {
    if (loop.receive() == Outcome::ring_full) seen += static_cast<uint32_t>(loop.take().size());
    if (loop.engine.waiting(loop.fd()) == 0) seen += static_cast<uint32_t>(loop.take().size());
  }
  EXPECT_EQ(loop.counters[Counter::rx_ring_drops], 0u);
  EXPECT_EQ(seen, kMessages * kSegments);
}

TEST(RxTurn, counts_what_it_drops_when_told_to_drop) {
  Loop loop(4);
  loop.endpoint.drop_when_full = true;
  for (int i = 0; i < 3; i++) loop.arrive(std::to_string(i));
  loop.arrive(std::string(250, 'x'), 1, 100);
  loop.arrive(std::string(250, 'y'), 1, 100);
  loop.arrive("late");
  EXPECT_EQ(loop.receive(), Outcome::drained);
  EXPECT_EQ(loop.counters[Counter::rx_ring_drops], 4u) << "three segments and one datagram";
  EXPECT_EQ(loop.counters[Counter::rx_datagrams], 10u);
  EXPECT_EQ(loop.take().size(), 4u);
  loop.arrive("next");
  loop.receive();
  EXPECT_EQ(data_of(loop.take()), std::vector<std::string>{"next"});
  EXPECT_EQ(loop.counters[Counter::rx_ring_drops], 4u);
}

TEST(RxTurn, goes_on_reading_a_dropping_socket_while_the_ring_is_full) {
  Loop loop(2);
  loop.endpoint.drop_when_full = true;
  for (int i = 0; i < 500; i++) loop.arrive("x");
  while (loop.receive() == Outcome::more) {
  }
  EXPECT_EQ(loop.engine.waiting(loop.fd()), 0u);
  EXPECT_EQ(loop.counters[Counter::rx_ring_drops], 498u);
}

// A datagram that was dropped must not have used up the news of its peer.
TEST(RxTurn, announces_a_peer_with_its_first_record_not_with_a_dropped_one) {
  Loop loop(1);
  loop.endpoint.drop_when_full = true;
  loop.arrive("kept", 1);
  loop.arrive("dropped", 2);
  loop.receive();
  EXPECT_EQ(loop.take().size(), 1u);
  loop.arrive("kept", 2);
  loop.receive();
  auto records = loop.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].descriptor.flags, 0);
}

// ---- errors

TEST(RxTurn, reports_a_network_error_and_goes_on) {
  Loop loop;
  loop.fail(ECONNREFUSED);
  loop.arrive("after");
  EXPECT_EQ(loop.receive(), Outcome::more);
  EXPECT_EQ(loop.receive(), Outcome::drained);
  auto records = loop.take();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].descriptor.kind, DescriptorKind::error);
  EXPECT_EQ(records[0].descriptor.result, -ECONNREFUSED);
  EXPECT_EQ(records[0].descriptor.socket_id, kId);
  EXPECT_EQ(records[0].data, "");
  EXPECT_EQ(records[1].data, "after");
  EXPECT_EQ(loop.counters[Counter::rx_errors], 1u);
}

TEST(RxTurn, takes_no_notice_of_signals_and_shortages) {
  Loop loop;
  for (int error : {EINTR, EAGAIN, ENOMEM, ENOBUFS}) {
    loop.fail(error);
    EXPECT_EQ(loop.receive(), error == EINTR ? Outcome::more : Outcome::drained) << error;
  }
  EXPECT_TRUE(loop.take().empty());
  EXPECT_EQ(loop.counters[Counter::rx_errors], 0u);
}

TEST(RxTurn, gives_up_a_dead_descriptor_and_says_so) {
  Loop loop;
  loop.fail(EBADF);
  EXPECT_EQ(loop.receive(), Outcome::dead);
  auto records = loop.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].descriptor.result, -EBADF);
}

TEST(RxTurn, counts_an_error_that_the_ring_has_no_room_for) {
  Loop loop(2);
  loop.endpoint.drop_when_full = true;
  loop.arrive("a");
  loop.arrive("b");
  loop.fail(ECONNREFUSED);
  EXPECT_EQ(loop.receive(), Outcome::drained);
  EXPECT_EQ(loop.receive(), Outcome::more);
  EXPECT_EQ(loop.take().size(), 2u);
  EXPECT_EQ(loop.counters[Counter::rx_errors], 1u);
}

// ---- what the kernel dropped

TEST(RxTurn, counts_what_the_kernel_dropped) {
  Loop loop;
  auto arrive = [&](uint32_t drops) {
    loop.engine.arrive(loop.fd(), {"x", address_of("127.0.0.1", 1), 0, drops, 0});
    loop.receive();
  };
  arrive(3);
  EXPECT_EQ(loop.counters[Counter::rx_kernel_drops], 3u);
  arrive(3);
  EXPECT_EQ(loop.counters[Counter::rx_kernel_drops], 3u);
  loop.arrive("no word of drops");
  loop.receive();
  EXPECT_EQ(loop.counters[Counter::rx_kernel_drops], 3u);
  arrive(1'000'000'000);
  EXPECT_EQ(loop.counters[Counter::rx_kernel_drops], 1'000'000'000u);
}

TEST(RxTurn, reads_segment_size_and_drops_of_one_datagram) {
  Loop loop;
  loop.engine.arrive(loop.fd(), {std::string(30, 'x'), address_of("127.0.0.1", 1), 10, 7u, 0});
  loop.receive();
  EXPECT_EQ(loop.take()[0].descriptor.segment_size, 10);
  EXPECT_EQ(loop.counters[Counter::rx_kernel_drops], 7u);
}

// ---- a responder

std::unique_ptr<Responder> responder(Loop& loop, FixedResponder::Kind kind) {
  FixedResponder::Options options;
  options.kind = kind;
  options.reply = {'o', 'k'};
  return std::make_unique<FixedResponder>(std::move(options), loop.fd(), kDatagramBytesMax, true,
                                          loop.counters);
}

TEST(RxTurn, answers_and_delivers) {
  Loop loop;
  loop.endpoint.responder = responder(loop, FixedResponder::Kind::echo);
  loop.arrive("hello", 77);
  loop.receive();
  auto sent = loop.engine.sent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].data, "hello");
  EXPECT_EQ(sent[0].to.port, 77);
  EXPECT_EQ(data_of(loop.take()), std::vector<std::string>{"hello"});
  EXPECT_EQ(loop.counters[Counter::tx_datagrams], 1u);
}

TEST(RxTurn, answers_only_where_nobody_listens) {
  Loop loop;
  loop.endpoint.responder = responder(loop, FixedResponder::Kind::fixed);
  loop.endpoint.deliver = false;
  for (int i = 0; i < 1000; i++) loop.arrive("x", static_cast<uint16_t>(i + 1));
  while (loop.receive() == Outcome::more) {
  }
  EXPECT_EQ(loop.engine.sent().size(), 1000u);
  EXPECT_TRUE(loop.take().empty());
  EXPECT_EQ(loop.counters[Counter::rx_datagrams], 1000u);
}

TEST(RxTurn, goes_on_answering_while_the_ring_is_full) {
  Loop loop(2);
  loop.endpoint.responder = responder(loop, FixedResponder::Kind::fixed);
  loop.endpoint.drop_when_full = true;
  for (int i = 0; i < 300; i++) loop.arrive("x", static_cast<uint16_t>(i + 1));
  while (loop.receive() == Outcome::more) {
  }
  EXPECT_EQ(loop.engine.sent().size(), 300u);
  EXPECT_EQ(loop.counters[Counter::rx_ring_drops], 298u);
}

}  // namespace
}  // namespace ksocket
