// ECONNREFUSED and TxFlush.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "core/datapath/tx_flush.h"
#include "support/outbox.h"

namespace ksocket {
namespace {

using test::Lines;
using test::Outbox;
using test::Outgoing;
using test::Results;

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

TEST(TxFlush, reports_a_refused_connection_to_the_first_of_what_came_joined) {
  Outbox out;
  int refusals = 1;
  out.engine.on_send([&](const Outgoing&) { return refusals-- > 0 ? ECONNREFUSED : 0; });
  out.add_joined(0, {"a0", "a1", "a2"}, 10, 10).add(0, "b0", 10);
  EXPECT_TRUE(out.send());
  EXPECT_EQ(out.lines(), (Lines{"0: a1", "0: a2", "0: b0"}));
  EXPECT_EQ(out.counters[Counter::tx_errors], 1u);
  EXPECT_EQ(out.counters[Counter::tx_datagrams], 3u);
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

}  // namespace
}  // namespace ksocket
