#include "core/datapath/tx_flush.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <random>
#include <string>

#include "support/outbox.h"

namespace ksocket {
namespace {

using test::Lines;
using test::Outbox;
using test::Outgoing;
using test::Results;

// ---- what is joined

TEST(TxFlush, joins_datagrams_of_one_size_to_one_destination) {
  Outbox out;
  out.add(1, "a0", 100).add(1, "a1", 100).add(1, "a2", 100);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.engine.sent()[0].pieces, 1u) << "payloads that lie back to back are one iovec";
  EXPECT_EQ(out.lines(), Lines{"1/100: a0 a1 a2"});
  EXPECT_EQ(out.results(), (Results{100, 100, 100}));
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 3u);
  EXPECT_EQ(out.counters[Counter::tx_bytes], 300u);
  EXPECT_EQ(out.counters[Counter::tx_calls], 1u);
  EXPECT_EQ(out.counters[Counter::tx_gso_batches], 1u);
  EXPECT_EQ(out.counters[Counter::tx_gso_segments], 3u);
  EXPECT_EQ(out.counters[Counter::tx_errors], 0u);
}

TEST(TxFlush, sends_each_by_itself_without_gso_but_in_one_call) {
  Outbox out(false);
  out.add(1, "a0", 100).add(1, "a1", 100).add(2, "b0", 100).add(1, "a2", 100);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a1", "2: b0", "1: a2"}));
  EXPECT_EQ(out.engine.send_calls(), 1u);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 4u);
  EXPECT_EQ(out.counters[Counter::tx_gso_batches], 0u);
}

TEST(TxFlush, says_nothing_of_segments_when_there_is_only_one) {
  Outbox out;
  out.add(1, "a0", 100);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), Lines{"1: a0"});
  EXPECT_EQ(out.counters[Counter::tx_gso_batches], 0u);
}

TEST(TxFlush, has_nothing_to_do_for_no_datagrams) {
  Outbox out;
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.engine.send_calls(), 0u);
}

TEST(TxFlush, joins_across_interleaved_destinations) {
  Outbox out;
  out.add(1, "a0", 10).add(2, "b0", 20).add(1, "a1", 10).add(3, "c0", 30).add(2, "b1", 20).add(1, "a2", 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1/10: a0 a1 a2", "2/20: b0 b1", "3: c0"}));
  EXPECT_EQ(out.results(), (Results{10, 20, 10, 30, 20, 10}));
}

TEST(TxFlush, closes_a_group_with_a_shorter_datagram) {
  Outbox out;
  out.add(1, "a0", 100).add(1, "a1", 100).add(1, "a2", 40).add(1, "a3", 40).add(1, "a4", 40);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1/100: a0 a1 a2", "1/40: a3 a4"}));
  EXPECT_EQ(out.results(), (Results{100, 100, 40, 40, 40}));
}

TEST(TxFlush, sends_an_empty_datagram_by_itself_and_in_its_place) {
  Outbox out;
  out.add(1, "a0", 100).add(1, "", 0).add(1, "a2", 100).add(1, "a3", 100).add(1, "", 0).add(1, "", 0);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: ", "1/100: a2 a3", "1: ", "1: "}));
  EXPECT_EQ(out.results(), (Results{100, 0, 100, 100, 0, 0}));
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 6u);
}

TEST(TxFlush, keeps_the_order_of_each_destination_over_many_batches) {
  Outbox out;
  std::map<uint16_t, std::string> expected, actual;
  std::mt19937 random(3);
  for (uint32_t i = 0; i < 5 * TxFlush::kChunk + 17; i++) {
    uint16_t port = static_cast<uint16_t>(1 + random() % 40);
    uint32_t bytes = random() % 3 * 100 + 4;
    std::string label = {static_cast<char>(i), static_cast<char>(i >> 8), '|', '|'};
    out.add(port, label, bytes);
    label.resize(bytes, '.');
    expected[port] += label;
  }
  EXPECT_TRUE(out.send());
  for (const Outgoing& message : out.engine.sent()) actual[message.to.port] += message.data;
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], out.descriptors.size());
}

// ---- what the kernel does not take

TEST(TxFlush, goes_on_where_a_call_stopped) {
  Outbox out(false);
  out.engine.limit_send(2);
  out.add(1, "a0", 10).add(2, "b0", 10).add(3, "c0", 10).add(4, "d0", 10).add(5, "e0", 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "2: b0", "3: c0", "4: d0", "5: e0"}));
  EXPECT_EQ(out.engine.send_calls(), 3u);
  EXPECT_EQ(out.counters[Counter::tx_calls], 3u);
}

TEST(TxFlush, gives_a_bad_datagram_its_own_error_and_sends_those_behind_it) {
  Outbox out(false);
  out.engine.on_send([](const Outgoing& m) {
    return m.data.size() > 1000 ? EMSGSIZE : m.to.port == 4 ? EACCES : 0;
  });
  out.add(1, "a0", 10)
      .add(2, "b0", 2000)
      .add(3, "c0", 10)
      .add(4, "d0", 10)
      .add(5, "e0", 10)
      .add(1, "a1", 3000);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "3: c0", "5: e0"}));
  EXPECT_EQ(out.results(), (Results{10, -EMSGSIZE, 10, -EACCES, 10, -EMSGSIZE}));
  EXPECT_EQ(out.counters[Counter::tx_errors], 3u);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 3u);
  EXPECT_EQ(out.counters[Counter::tx_bytes], 30u);
}

TEST(TxFlush, gives_every_datagram_the_error_of_a_dead_descriptor) {
  Outbox out;
  out.engine.on_send([](const Outgoing&) { return EBADF; });
  out.add(1, "a0", 10).add(1, "a1", 10).add(2, "b0", 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.results(), (Results{-EBADF, -EBADF, -EBADF}));
  EXPECT_EQ(out.counters[Counter::tx_errors], 3u);
}

TEST(TxFlush, defers_from_the_datagram_on_that_has_to_wait) {
  for (int error : {EAGAIN, ENOBUFS}) {
    Outbox out(false);
    bool full = true;
    out.engine.on_send([&](const Outgoing& m) { return full && m.to.port >= 3 ? error : 0; });
    out.add(1, "a0", 10).add(2, "b0", 20).add(3, "c0", 30).add(1, "a1", 40).add(4, "d0", 0);
    EXPECT_FALSE(out.send());
    EXPECT_EQ(out.lines(), (Lines{"1: a0", "2: b0"}));
    EXPECT_EQ(out.results(), (Results{10, 20, kResultDeferred, kResultDeferred, kResultDeferred}));
    EXPECT_EQ(out.counters[Counter::tx_errors], 0u);

    full = false;
    EXPECT_TRUE(out.send_deferred());
    EXPECT_EQ(out.lines(), (Lines{"3: c0", "1: a1", "4: "}));
    EXPECT_EQ(out.results(), (Results{10, 20, 30, 40, 0}));
    EXPECT_EQ(out.counters[Counter::tx_datagrams], 5u);
  }
}

TEST(TxFlush, defers_a_joined_group_and_all_batches_behind_it) {
  Outbox out;
  out.engine.on_send([](const Outgoing& m) { return m.to.port == 2 ? EAGAIN : 0; });
  out.add(1, "a0", 10).add(2, "b0", 10).add(1, "a1", 10).add(2, "b1", 10);
  for (uint32_t i = 0; i < 2 * TxFlush::kChunk; i++) out.add(3, "c0", 10);
  EXPECT_FALSE(out.send());
  EXPECT_EQ(out.lines(), Lines{"1/10: a0 a1"});
  EXPECT_EQ(out.results()[0], 10);
  EXPECT_EQ(out.results()[2], 10);
  for (size_t i = 3; i < out.descriptors.size(); i++) ASSERT_EQ(out.results()[i], kResultDeferred) << i;
  EXPECT_EQ(out.results()[1], kResultDeferred);
}

TEST(TxFlush, tries_again_after_a_signal) {
  for (bool gso : {false, true}) {
    Outbox out(gso);
    int interruptions = 3;
    out.engine.on_send([&](const Outgoing& m) { return m.to.port == 2 && interruptions-- > 0 ? EINTR : 0; });
    out.add(1, "a0", 10).add(2, "b0", 10).add(2, "b1", 10);
    EXPECT_TRUE(out.send());
    EXPECT_EQ(out.results(), (Results{10, 10, 10}));
    EXPECT_EQ(out.counters[Counter::tx_errors], 0u);
    EXPECT_EQ(out.counters[Counter::tx_datagrams], 3u);
  }
}

}  // namespace
}  // namespace ksocket
