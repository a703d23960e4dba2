// Super-datagrams that the kernel refuses, and such as were joined before they came to TxFlush.
#include <gtest/gtest.h>

#include <cerrno>
#include <map>

#include "core/datapath/tx_flush.h"
#include "support/outbox.h"

namespace ksocket {
namespace {

using test::Lines;
using test::Outbox;
using test::Outgoing;
using test::Results;

// ---- GSO refused

TEST(TxFlush, sends_singly_what_a_device_refuses_joined_and_remembers_it) {
  Outbox out;
  int joined_tries = 0;
  out.engine.on_send([&](const Outgoing& m) {
    if (m.segment_size == 0) return 0;
    joined_tries++;
    return EIO;
  });
  out.add(1, "a0", 10).add(1, "a1", 10).add(2, "b0", 10).add(2, "b1", 10).add(1, "a2", 5);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a1", "1: a2", "2: b0", "2: b1"}));
  EXPECT_EQ(out.results(), (Results{10, 10, 10, 10, 5}));
  EXPECT_EQ(joined_tries, 1) << "the groups behind the first refusal are not tried joined";
  EXPECT_EQ(out.counters[Counter::tx_gso_fallbacks], 1u);
  EXPECT_EQ(out.counters[Counter::tx_errors], 0u);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 5u);
  EXPECT_EQ(out.counters[Counter::tx_bytes], 45u);

  EXPECT_TRUE(out.send_again());
  EXPECT_EQ(joined_tries, 1) << "nor in the next flush";
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a1", "2: b0", "2: b1", "1: a2"}));
}

TEST(TxFlush, remembers_the_size_that_the_path_refuses_joined) {
  for (int error : {EINVAL, EMSGSIZE}) {
    Outbox out;
    out.engine.on_send([&](const Outgoing& m) { return m.segment_size > 1000 ? error : 0; });
    out.add(1, "a0", 1200).add(1, "a1", 1200).add(2, "b0", 900).add(2, "b1", 900);
    EXPECT_TRUE(out.send());
    EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a1", "2/900: b0 b1"}));
    EXPECT_TRUE(out.send_again());
    EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a1", "2/900: b0 b1"}));
    EXPECT_EQ(out.counters[Counter::tx_gso_fallbacks], 1u);
  }
}

// A request that claims to come from port 0 has an answer that no size would help.
TEST(TxFlush, blames_the_destination_where_the_same_datagrams_are_refused_alone) {
  for (int error : {EINVAL, EMSGSIZE, EPERM, EACCES, EIO, ENOMEM}) {
    Outbox out;
    out.engine.on_send([&](const Outgoing& m) { return m.to.port == 1 ? error : 0; });
    out.add(1, "a0", 10).add(1, "a1", 10).add(2, "b0", 10).add(2, "b1", 10);
    EXPECT_TRUE(out.send());
    EXPECT_EQ(out.lines(), Lines{"2/10: b0 b1"}) << error;
    EXPECT_EQ(out.results(), (Results{-error, -error, 10, 10})) << error;
    EXPECT_TRUE(out.send_again());
    EXPECT_EQ(out.lines(), Lines{"2/10: b0 b1"}) << error;
    EXPECT_EQ(out.counters[Counter::tx_gso_fallbacks], 0u) << error;
    EXPECT_EQ(out.counters[Counter::tx_errors], 4u) << error;
  }
}

// Alone the large ones are refused as they were joined; that the small last one is taken says nothing.
TEST(TxFlush, blames_the_size_only_where_one_of_that_size_leaves_alone) {
  Outbox out;
  out.engine.on_send(
      [&](const Outgoing& m) { return m.segment_size > 10 || m.data.size() > 10 ? EMSGSIZE : 0; });
  out.add(1, "a0", 20).add(1, "a1", 20).add(1, "a2", 5);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), Lines{"1: a2"});
  EXPECT_EQ(out.counters[Counter::tx_gso_fallbacks], 0u);
  EXPECT_TRUE(out.socket.gso.allows(Outbox::peer(1), 20));
}

// A firewall that looks at the length, or no memory for so much at once.
TEST(TxFlush, sends_singly_what_is_refused_joined_for_whatever_reason_and_remembers_it) {
  for (int error : {EPERM, EACCES, ENOBUFS, ENOMEM, EINVAL, EIO}) {
    Outbox out;
    int joined_tries = 0;
    out.engine.on_send([&](const Outgoing& m) { return m.segment_size == 0 ? 0 : (joined_tries++, error); });
    out.add(1, "a0", 10).add(1, "a1", 10);
    EXPECT_TRUE(out.send());
    EXPECT_TRUE(out.send_again());
    EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a1", "1: a0", "1: a1"})) << error;
    EXPECT_EQ(out.results(), (Results{10, 10})) << error;
    EXPECT_EQ(joined_tries, 1) << error;
    EXPECT_EQ(out.counters[Counter::tx_gso_fallbacks], 1u) << error;
  }
}

TEST(TxFlush, joins_for_other_hosts_what_one_host_refuses) {
  Outbox out;
  Address near = test::address_of("127.0.0.1", 1), far = test::address_of("10.0.0.1", 2);
  out.engine.on_send([&](const Outgoing& m) { return m.to == far && m.segment_size > 1000 ? EMSGSIZE : 0; });
  for (const char* label : {"a0", "a1"}) out.add(far, label, 1200);
  for (const char* label : {"b0", "b1"}) out.add(near, label, 1200);
  for (int i = 0; i < 2; i++) {
    EXPECT_TRUE(out.send_again());
    EXPECT_EQ(out.lines(), (Lines{"2: a0", "2: a1", "1/1200: b0 b1"}));
  }
  EXPECT_EQ(out.counters[Counter::tx_gso_fallbacks], 1u);
}

TEST(TxFlush, joins_for_a_host_that_takes_it_however_many_others_refuse) {
  Outbox out;
  Address near = test::address_of("127.0.0.1", 1);
  out.engine.on_send([](const Outgoing& m) { return m.to.port == 2 && m.segment_size > 0 ? EMSGSIZE : 0; });
  for (size_t host = 1; host <= 2 * GsoPolicy::kHostsMax; host++) {
    Address far = test::address_of("10.0.0.0", 2);
    far.bytes[3] = static_cast<uint8_t>(host);
    out.descriptors.clear();
    for (const char* label : {"a0", "a1"}) out.add(far, label, 1200);
    for (const char* label : {"b0", "b1"}) out.add(near, label, 1200);
    EXPECT_TRUE(out.send());
    EXPECT_EQ(out.lines(), (Lines{"2: a0", "2: a1", "1/1200: b0 b1"})) << host;
  }
}

TEST(TxFlush, waits_where_there_is_no_memory_for_one_datagram_either) {
  Outbox out;
  out.engine.on_send([](const Outgoing&) { return ENOBUFS; });
  out.add(1, "a0", 10).add(1, "a1", 10);
  EXPECT_FALSE(out.send());
  EXPECT_EQ(out.results(), (Results{kResultDeferred, kResultDeferred}));
  EXPECT_TRUE(out.socket.gso.allows(Outbox::peer(1), 10));
}

TEST(TxFlush, finds_the_bad_datagram_of_a_refused_group) {
  Outbox out;
  out.engine.on_send([](const Outgoing& m) {
    return m.segment_size != 0 ? EMSGSIZE : m.data.starts_with("a1") ? EPERM : 0;
  });
  out.add(1, "a0", 10).add(1, "a1", 10).add(1, "a2", 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a2"}));
  EXPECT_EQ(out.results(), (Results{10, -EPERM, 10}));
  EXPECT_EQ(out.counters[Counter::tx_errors], 1u);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 2u);
}

TEST(TxFlush, defers_the_rest_of_a_refused_group_that_has_to_wait) {
  Outbox out;
  bool full = true;
  out.engine.on_send([&](const Outgoing& m) {
    return m.segment_size != 0 ? EIO : full && m.data.starts_with("a1") ? EAGAIN : 0;
  });
  out.add(1, "a0", 10).add(1, "a1", 20).add(1, "a2", 20).add(2, "b0", 30).add(1, "a3", 20);
  EXPECT_FALSE(out.send());
  EXPECT_EQ(out.lines(), Lines{"1: a0"});
  EXPECT_EQ(out.results(), (Results{10, kResultDeferred, kResultDeferred, kResultDeferred, kResultDeferred}));
  full = false;
  EXPECT_TRUE(out.send_deferred());
  EXPECT_EQ(out.lines(), (Lines{"1: a1", "1: a2", "2: b0", "1: a3"}));
  EXPECT_EQ(out.results(), (Results{10, 20, 20, 30, 20}));
}

// ---- how many are joined

TEST(TxFlush, joins_as_many_as_the_engine_says) {
  for (uint32_t max : {64u, 128u}) {
    Outbox out;
    out.engine.gso_segments_max = max;
    for (int i = 0; i < 300; i++) out.add(1, "xx", 10);
    EXPECT_TRUE(out.send());
    std::vector<size_t> sizes;
    for (const Outgoing& m : out.engine.take_sent()) sizes.push_back(m.data.size() / 10);
    EXPECT_EQ(sizes.size(), (300 + max - 1) / max);
    EXPECT_EQ(sizes.front(), max);
  }
}

TEST(TxFlush, joins_64_for_good_where_more_are_refused) {
  Outbox out;
  out.engine.gso_segments_max = 128;
  int too_many = 0;
  out.engine.on_send([&](const Outgoing& m) {
    if (m.segment_size == 0 || m.data.size() <= 64u * m.segment_size) return 0;
    too_many++;
    return EINVAL;
  });
  for (int i = 0; i < 300; i++)
    out.add(1, {static_cast<char>('0' + i / 64), static_cast<char>('0' + i % 64)}, 10);
  std::vector<std::string> wanted, left;
  for (const Descriptor& d : out.descriptors)
    wanted.emplace_back(reinterpret_cast<const char*>(&out.payloads[d.offset]), 2);
  for (int flush = 0; flush < 2; flush++) {
    EXPECT_TRUE(out.send_again());
    EXPECT_EQ(out.results(), Results(300, 10));
    left.clear();
    for (const Outgoing& m : out.engine.sent()) {
      for (size_t at = 0; at < m.data.size(); at += 10) left.push_back(m.data.substr(at, 2));
    }
    EXPECT_EQ(left, wanted) << "each once, in order";
    size_t messages = out.engine.take_sent().size();
    EXPECT_EQ(messages, flush == 0 ? 257u : 5u);
  }
  EXPECT_EQ(too_many, 1) << "the groups behind the first refusal are not tried";
  EXPECT_EQ(out.counters[Counter::tx_gso_fallbacks], 1u);
  EXPECT_EQ(out.counters[Counter::tx_errors], 0u);
}

TEST(TxFlush, splits_a_super_datagram_of_more_than_the_kernel_joins) {
  Outbox out;
  std::vector<std::string> labels(100, "xx");
  out.add_joined(1, labels, 10, 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.engine.take_sent().size(), 100u);
  out.engine.gso_segments_max = 128;
  EXPECT_TRUE(out.send_again());
  EXPECT_EQ(out.engine.take_sent().size(), 1u);
  EXPECT_EQ(out.results(), Results{1000});
}

// ---- joined before they came here

TEST(TxFlush, sends_a_super_datagram_as_it_came) {
  Outbox out;
  out.add_joined(1, {"a0", "a1", "a2"}, 100, 30);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), Lines{"1/100: a0 a1 a2"});
  EXPECT_EQ(out.results(), Results{230});
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 3u);
  EXPECT_EQ(out.counters[Counter::tx_gso_segments], 3u);
}

TEST(TxFlush, takes_a_super_datagram_of_one_segment_for_a_datagram) {
  Outbox out;
  out.add(Outbox::peer(1), "a0", 100, 100).add(Outbox::peer(1), "a1", 100, 1200);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.results(), (Results{100, 100}));
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 2u);
  size_t bytes = 0;
  for (const Outgoing& message : out.engine.sent()) bytes += message.data.size();
  EXPECT_EQ(bytes, 200u);
}

TEST(TxFlush, splits_a_super_datagram_where_gso_is_not_to_be_had) {
  for (bool refused_by_kernel : {false, true}) {
    Outbox out(refused_by_kernel);
    if (refused_by_kernel)
      out.engine.on_send([](const Outgoing& m) { return m.segment_size != 0 ? EIO : 0; });
    out.add(2, "b0", 10).add_joined(1, {"a0", "a1", "a2"}, 100, 30).add(2, "b1", 10);
    EXPECT_TRUE(out.send());
    std::map<uint16_t, Lines> by_port;
    for (const Outgoing& m : out.engine.sent()) by_port[m.to.port].push_back(Outbox::line(m));
    EXPECT_EQ(by_port[1], (Lines{"1: a0", "1: a1", "1: a2"}));
    EXPECT_EQ(out.results()[1], 230);
    EXPECT_EQ(out.counters[Counter::tx_datagrams], 5u);
    EXPECT_EQ(out.counters[Counter::tx_bytes], 250u);
  }
}

TEST(TxFlush, says_of_each_of_a_split_super_datagram_what_is_said_of_all) {
  Outbox out(false);
  out.add_joined(1, {"a0", "a1", "a2"}, 100, 30);
  out.descriptors[0].flags = kSaysMore;
  out.descriptors[0].ttl = 9;
  out.descriptors[0].tos = kTosSaid | 1;
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.engine.sent().size(), 3u);
  for (const Outgoing& m : out.engine.sent()) EXPECT_EQ(m.more, "tos=1 ttl=9");
}

TEST(TxFlush, splits_a_super_datagram_in_few_calls) {
  Outbox out(false);
  out.engine.on_send([](const Outgoing& m) { return m.data.starts_with("bad") ? EPERM : 0; });
  std::vector<std::string> labels(150, "xx");
  labels[70] = "bad";
  out.add_joined(1, labels, 10, 4);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.engine.take_sent().size(), 149u);
  EXPECT_LE(out.counters[Counter::tx_calls], 6u);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 149u);
  EXPECT_EQ(out.counters[Counter::tx_bytes], 148u * 10 + 4);
  EXPECT_EQ(out.counters[Counter::tx_errors], 1u);
  EXPECT_EQ(out.results(), Results{-EPERM});
}

TEST(TxFlush, resumes_a_split_super_datagram_where_it_had_to_wait) {
  Outbox out(false);
  bool full = true;
  out.engine.on_send([&](const Outgoing& m) { return full && m.data.starts_with("a2") ? EAGAIN : 0; });
  out.add_joined(1, {"a0", "a1", "a2", "a3"}, 100, 30);
  EXPECT_FALSE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a1"}));
  EXPECT_EQ(out.results(), Results{kResultDeferred});
  EXPECT_EQ(out.descriptors[0].offset, 200u);
  EXPECT_EQ(out.descriptors[0].length, 130u);

  full = false;
  EXPECT_TRUE(out.send_deferred());
  EXPECT_EQ(out.lines(), (Lines{"1: a2", "1: a3"}));
  EXPECT_GE(out.results()[0], 0);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 4u);
  EXPECT_EQ(out.counters[Counter::tx_bytes], 330u);
}

TEST(TxFlush, sends_the_good_segments_of_a_split_super_datagram) {
  Outbox out(false);
  out.engine.on_send([](const Outgoing& m) { return m.data.starts_with("a1") ? EPERM : 0; });
  out.add_joined(1, {"a0", "a1", "a2"}, 100, 100);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: a2"}));
  EXPECT_EQ(out.results(), Results{-EPERM});
  EXPECT_EQ(out.counters[Counter::tx_errors], 1u);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 2u);
}

}  // namespace
}  // namespace ksocket
