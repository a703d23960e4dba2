#include "core/datapath/tx_flush.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "support/build.h"
#include "support/fake_engine.h"
#include "support/ring_memory.h"

namespace ksocket {
namespace {

using test::address_of;
using test::Outgoing;

// A socket on the fake engine and the datagrams it is to send. Each datagram starts with a label of its own,
// and each destination is known by its port, so that what left can be written down in a line.
class Outbox {
 public:
  explicit Outbox(bool gso = true) { socket.gso.enabled = gso; }

  static Address peer(int number) {
    return number == 0 ? Address{} : address_of("127.0.0.1", static_cast<uint16_t>(number));
  }

  Outbox& add(const Address& to, const std::string& label, uint32_t bytes, uint16_t segment_size = 0) {
    std::string data = label;
    data.resize(bytes, '.');
    return add_data(to, data, segment_size);
  }
  Outbox& add(int to, const std::string& label, uint32_t bytes) { return add(peer(to), label, bytes); }

  // A super-datagram, as an echo gets them from GRO: labels are `bytes_each` apart.
  Outbox& add_joined(int to, const std::vector<std::string>& labels, uint16_t bytes_each,
                     uint32_t last_bytes) {
    std::string data;
    for (size_t i = 0; i < labels.size(); i++) {
      data += labels[i];
      data.resize(i * bytes_each + (i + 1 == labels.size() ? last_bytes : bytes_each), '.');
    }
    return add_data(peer(to), data, bytes_each);
  }

  bool send() { return flush.send(engine, socket, payloads.data(), descriptors); }
  // The same datagrams once more, staged afresh: a flush may have used up their descriptors.
  bool send_again() {
    descriptors = staged_;
    return send();
  }
  // What IoThread does with what was deferred: again, later.
  bool send_deferred() {
    bool settled = true;
    for (Descriptor& d : descriptors) {
      if (d.result == kResultDeferred && settled)
        settled = flush.send(engine, socket, payloads.data(), {&d, 1});
    }
    return settled;
  }

  std::vector<int32_t> results() const {
    std::vector<int32_t> out;
    for (const Descriptor& d : descriptors) out.push_back(d.result);
    return out;
  }

  // "7/100: a0 a1": one message to port 7, joined from segments of 100 bytes.
  static std::string line(const Outgoing& message) {
    std::string out = std::to_string(message.to.port);
    size_t each = message.data.size();
    if (message.segment_size != 0) {
      each = message.segment_size;
      out += "/" + std::to_string(each);
    }
    out += ":";
    size_t at = 0;
    do {
      out += " " + message.data.substr(at, std::min(each, message.data.size() - at)).substr(0, 2);
      at += each;
    } while (at < message.data.size());
    return out;
  }
  std::vector<std::string> lines() {
    std::vector<std::string> out;
    for (const Outgoing& message : engine.take_sent()) out.push_back(line(message));
    return out;
  }

  test::FakeEngine engine;
  TxFlush flush;
  test::CounterRow counters;
  TxSocket socket{7, 4, counters};
  std::vector<Descriptor> descriptors;
  std::vector<uint8_t> payloads;

 private:
  Outbox& add_data(const Address& to, const std::string& data, uint16_t segment_size) {
    Descriptor& d = descriptors.emplace_back();
    write_address(to, &d);
    d.offset = static_cast<uint32_t>(payloads.size());
    d.length = static_cast<uint32_t>(data.size());
    d.segment_size = segment_size;
    d.result = -12345;  // something nobody says
    payloads.insert(payloads.end(), data.begin(), data.end());
    staged_ = descriptors;
    return *this;
  }

  std::vector<Descriptor> staged_;
};

using Lines = std::vector<std::string>;
using Results = std::vector<int32_t>;

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

TEST(TxFlush, tells_destinations_apart_in_every_part) {
  Address zone_1 = address_of("fe80::1", 9), zone_2 = zone_1;
  zone_1.scope_id = 1;
  zone_2.scope_id = 2;
  Outbox out;
  for (const Address& to : {address_of("127.0.0.1", 9), address_of("127.0.0.2", 9),
                            address_of("127.0.0.1", 8), address_of("::1", 9), zone_1, zone_2}) {
    out.add(to, "xx", 10);
  }
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.engine.sent().size(), 6u);
  for (size_t i = 0; i < 6; i++) {
    EXPECT_TRUE(out.engine.sent()[i].to == read_address(out.descriptors[i])) << i;
  }
}

TEST(TxFlush, joins_on_a_connected_socket_that_names_no_destination) {
  Outbox out;
  out.add(0, "a0", 50).add(0, "a1", 50);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.engine.sent()[0].to.family, 0);
  EXPECT_EQ(out.lines(), Lines{"0/50: a0 a1"});
}

TEST(TxFlush, closes_a_group_with_a_shorter_datagram) {
  Outbox out;
  out.add(1, "a0", 100).add(1, "a1", 100).add(1, "a2", 40).add(1, "a3", 40).add(1, "a4", 40);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1/100: a0 a1 a2", "1/40: a3 a4"}));
  EXPECT_EQ(out.results(), (Results{100, 100, 40, 40, 40}));
}

TEST(TxFlush, starts_a_group_with_a_longer_datagram) {
  Outbox out;
  out.add(1, "a0", 50).add(1, "a1", 100).add(1, "a2", 100).add(1, "a3", 50).add(1, "a4", 50);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1/100: a1 a2 a3", "1: a4"}));
}

// Joining behind an older group of the same destination would overtake.
TEST(TxFlush, joins_only_the_latest_group_of_a_destination) {
  Outbox out;
  out.add(1, "a0", 50).add(2, "b0", 50).add(1, "a1", 100).add(2, "b1", 50).add(1, "a2", 50).add(1, "a3", 50);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "2/50: b0 b1", "1/100: a1 a2", "1: a3"}));
}

TEST(TxFlush, sends_an_empty_datagram_by_itself_and_in_its_place) {
  Outbox out;
  out.add(1, "a0", 100).add(1, "", 0).add(1, "a2", 100).add(1, "a3", 100).add(1, "", 0).add(1, "", 0);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1: ", "1/100: a2 a3", "1: ", "1: "}));
  EXPECT_EQ(out.results(), (Results{100, 0, 100, 100, 0, 0}));
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 6u);
}

TEST(TxFlush, joins_no_more_segments_than_the_kernel_takes) {
  Outbox out;
  for (int i = 0; i < 130; i++) out.add(1, "xx", 10);
  EXPECT_TRUE(out.send());
  std::vector<size_t> sizes;
  for (const Outgoing& message : out.engine.sent()) sizes.push_back(message.data.size() / 10);
  EXPECT_EQ(sizes, (std::vector<size_t>{64, 64, 2}));
}

TEST(TxFlush, joins_no_more_bytes_than_a_datagram_holds) {
  Outbox out;
  for (int i = 0; i < 100; i++) out.add(1, "xx", 1400);
  EXPECT_TRUE(out.send());
  std::vector<size_t> sizes;
  for (const Outgoing& message : out.engine.sent()) {
    EXPECT_LE(message.data.size(), 65535u - 40 - 8) << "IPv6 takes no more";
    sizes.push_back(message.data.size() / 1400);
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{46, 46, 8}));
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

TEST(TxFlush, finds_the_groups_of_as_many_destinations_as_there_are_datagrams) {
  Outbox out;
  for (int round = 0; round < 2; round++) {
    for (int port = 1; port <= 256; port++) out.add(port, "xx", 32);
  }
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.engine.sent().size(), 256u);
  EXPECT_EQ(out.counters[Counter::tx_gso_batches], 256u);
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

TEST(TxFlush, joins_nothing_to_a_super_datagram) {
  Outbox out;
  out.add(1, "a0", 100).add_joined(1, {"b0", "b1"}, 100, 100).add(1, "c0", 100).add(1, "c1", 100);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"1: a0", "1/100: b0 b1", "1/100: c0 c1"}));
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

// ---- ECONNREFUSED: the answer to an earlier datagram, which costs this one its passage, once

TEST(TxFlush, reports_a_refused_connection_to_the_datagram_that_met_it) {
  Outbox out(false);
  int refusals = 1;
  out.engine.on_send([&](const Outgoing&) { return refusals-- > 0 ? ECONNREFUSED : 0; });
  out.add(0, "a0", 10).add(0, "a1", 10).add(0, "a2", 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"0: a1", "0: a2"}));
  EXPECT_EQ(out.results(), (Results{-ECONNREFUSED, 10, 10}));
  EXPECT_EQ(out.counters[Counter::tx_errors], 1u);
}

// GSO is invisible: the same datagram meets the error as without it.
TEST(TxFlush, reports_a_refused_connection_to_the_first_of_a_joined_group) {
  Outbox out;
  int refusals = 1;
  out.engine.on_send([&](const Outgoing&) { return refusals-- > 0 ? ECONNREFUSED : 0; });
  out.add(0, "a0", 10).add(0, "a1", 10).add(0, "a2", 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.results(), (Results{-ECONNREFUSED, 10, 10}));
  std::string left;
  for (const std::string& line : out.lines()) left += line + ";";
  EXPECT_EQ(left.find("a0"), std::string::npos) << left;
  EXPECT_EQ(out.counters[Counter::tx_errors], 1u);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 2u);
  EXPECT_EQ(out.counters[Counter::tx_gso_fallbacks], 0u) << "this says nothing against GSO";
}

TEST(TxFlush, sends_again_after_a_refused_connection_when_asked_to) {
  for (bool gso : {false, true}) {
    Outbox out(gso);
    out.socket.retry_refused = true;
    int refusals = 1;
    out.engine.on_send([&](const Outgoing&) { return refusals-- > 0 ? ECONNREFUSED : 0; });
    out.add(0, "a0", 10).add(0, "a1", 10);
    EXPECT_TRUE(out.send());
    EXPECT_EQ(out.results(), (Results{10, 10}));
    EXPECT_EQ(out.lines(), gso ? Lines{"0/10: a0 a1"} : (Lines{"0: a0", "0: a1"}));
    EXPECT_EQ(out.counters[Counter::tx_datagrams], 2u);
  }
}

TEST(TxFlush, gives_up_when_a_connection_is_refused_again) {
  Outbox out(false);
  out.socket.retry_refused = true;
  out.engine.on_send([](const Outgoing& m) { return m.data.starts_with("a0") ? ECONNREFUSED : 0; });
  out.add(0, "a0", 10).add(0, "a1", 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.results(), (Results{-ECONNREFUSED, 10}));
  EXPECT_EQ(out.lines(), Lines{"0: a1"});
}

TEST(TxFlush, retries_a_refused_connection_in_a_split_super_datagram) {
  Outbox out(false);
  out.socket.retry_refused = true;
  int refusals = 2;
  out.engine.on_send(
      [&](const Outgoing& m) { return m.data.starts_with("a1") && refusals-- > 1 ? ECONNREFUSED : 0; });
  out.add_joined(0, {"a0", "a1", "a2"}, 10, 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"0: a0", "0: a1", "0: a2"}));
  EXPECT_EQ(out.results(), Results{30});
}

// ---- everything at once

// Whatever the kernel does: each datagram is sent once, or its result says why not, or it waits; none
// overtakes another of its destination; the counters add up.
TEST(TxFlush, is_exact_about_every_datagram_whatever_the_kernel_refuses) {
  for (uint32_t seed = 0; seed < (test::kThreadSanitizer ? 400 : 2000); seed++) {
    std::mt19937 random(seed);
    auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    Outbox out(below(4) != 0);
    out.socket.retry_refused = below(2) == 0;

    uint32_t count = 1 + below(below(10) == 0 ? 1200 : 60);
    uint32_t peers = 1 + below(6);
    uint32_t common = 4 + below(1500);
    std::map<std::string, size_t> index_of;
    for (uint32_t i = 0; i < count; i++) {
      // Long enough for a label that is unique in the run.
      uint32_t bytes = below(3) != 0 ? common : 4 + below(1500);
      std::string label = {static_cast<char>('A' + i % 64), static_cast<char>('A' + i / 64), '#', '#'};
      out.add(static_cast<int>(1 + below(peers)), label, bytes);
      index_of[label] = i;
    }

    // What this kernel does.
    size_t limit = below(3) == 0 ? 1 + below(5) : SIZE_MAX;
    int gso_error = below(3) == 0 ? (below(2) == 0 ? EIO : EMSGSIZE) : 0;
    uint32_t gso_bytes_max = below(2) == 0 ? 0 : below(1500);
    uint32_t bad_one_in = below(2) == 0 ? 0 : 2 + below(20);
    uint32_t signal_one_in = below(4) == 0 ? 3 : 0;
    uint32_t full_after = below(2) == 0 ? below(count) : UINT32_MAX;
    bool full_is_over = false;
    uint32_t accepted = 0;
    std::mt19937 kernel(seed);
    out.engine.limit_send(limit);
    out.engine.on_send([&](const Outgoing& m) -> int {
      if (signal_one_in != 0 && kernel() % signal_one_in == 0) return EINTR;
      if (gso_error != 0 && m.segment_size > gso_bytes_max) return gso_error;
      if (!full_is_over && accepted >= full_after) return EAGAIN;
      // The same datagram is always bad: alone it says so, joined it spoils the lot.
      uint32_t each = m.segment_size != 0 ? m.segment_size : static_cast<uint32_t>(m.data.size());
      for (size_t at = 0; at < m.data.size(); at += each) {
        if (bad_one_in != 0 && index_of.at(m.data.substr(at, 4)) % bad_one_in == 1) return EPERM;
      }
      accepted++;
      return 0;
    });

    auto left = [&] {  // the datagrams that left, in order, with checks on their bytes
      std::vector<size_t> out_order;
      for (const Outgoing& m : out.engine.take_sent()) {
        size_t each = m.segment_size != 0 ? m.segment_size : m.data.size();
        for (size_t at = 0; at < m.data.size(); at += each) {
          std::string data = m.data.substr(at, each);
          size_t index = index_of.at(data.substr(0, 4));
          std::string expected = data.substr(0, 4);
          expected.resize(data.size(), '.');
          EXPECT_EQ(data, expected);
          EXPECT_EQ(m.to.port, out.descriptors[index].port);
          out_order.push_back(index);
        }
      }
      return out_order;
    };

    bool settled = out.send();
    std::vector<size_t> order = left();
    size_t deferred = 0;
    for (const Descriptor& d : out.descriptors) deferred += d.result == kResultDeferred;
    ASSERT_EQ(settled, deferred == 0) << "seed " << seed;
    // Of one destination, nothing leaves behind something that waits.
    std::map<uint16_t, bool> waits;
    for (const Descriptor& d : out.descriptors) {
      if (d.result == kResultDeferred) waits[d.port] = true;
      ASSERT_FALSE(d.result >= 0 && waits[d.port]) << "seed " << seed;
    }

    full_is_over = true;
    ASSERT_TRUE(out.send_deferred()) << "seed " << seed;
    for (size_t index : left()) order.push_back(index);

    std::vector<int> times(count, 0);
    std::map<uint16_t, size_t> latest;
    for (size_t index : order) {
      times[index]++;
      size_t& last = latest[out.descriptors[index].port];
      ASSERT_TRUE(last == 0 || index + 1 > last) << "seed " << seed << ": datagram " << index << " overtook";
      last = index + 1;
    }
    uint64_t good = 0, bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
      bool bad = bad_one_in != 0 && i % bad_one_in == 1;
      ASSERT_EQ(times[i], bad ? 0 : 1) << "seed " << seed << ", datagram " << i;
      ASSERT_TRUE(bad ? out.descriptors[i].result == -EPERM : out.descriptors[i].result >= 4)
          << "seed " << seed << ", datagram " << i << ": " << out.descriptors[i].result;
      if (!bad) good++, bytes += static_cast<uint64_t>(out.descriptors[i].result);
    }
    ASSERT_EQ(out.counters[Counter::tx_datagrams], good) << "seed " << seed;
    ASSERT_EQ(out.counters[Counter::tx_bytes], bytes) << "seed " << seed;
    ASSERT_EQ(out.counters[Counter::tx_errors], count - good) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ksocket
