#include "core/answer/fixed_responder.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/conversation.h"

namespace ksocket {
namespace {

using test::Lines;
using test::Outgoing;

constexpr int kSourceFd = 7;

std::vector<uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

struct Talk : test::Conversation<FixedResponder> {
  explicit Talk(FixedResponder::Options options, uint32_t keep_bytes_max = kDatagramBytesMax,
                bool offloads = true)
      : Conversation(std::move(options), kSourceFd, keep_bytes_max, offloads) {}
};

FixedResponder::Options fixed(const std::string& reply) {
  FixedResponder::Options options;
  options.reply = bytes_of(reply);
  return options;
}
FixedResponder::Options echo() {
  FixedResponder::Options options;
  options.kind = FixedResponder::Kind::echo;
  return options;
}

TEST(FixedResponder, sends_its_reply_to_each_source) {
  Talk talk(fixed("testing..."));
  EXPECT_EQ(talk.hear(1, "hello").hear(2, "").hear(3, "x").answers(),
            (Lines{"1: testing...", "2: testing...", "3: testing..."}));
  EXPECT_EQ(talk.counters[Counter::tx_datagrams], 3u);
  EXPECT_EQ(talk.engine.send_calls(), 1u) << "a batch is answered with one call";
}

TEST(FixedResponder, answers_through_the_socket_that_heard) {
  Talk talk(fixed("ok"));
  talk.hear(1, "hello");
  int used = -1;
  talk.engine.on_send([&](const Outgoing& message) { return used = message.fd, 0; });
  talk.answers();
  EXPECT_EQ(used, kSourceFd);
}

TEST(FixedResponder, answers_every_datagram_of_a_super_datagram) {
  Talk talk(fixed("ok"), kDatagramBytesMax, false);
  EXPECT_EQ(talk.hear(1, std::string(250, 'x'), 100).answers(), (Lines{"1: ok", "1: ok", "1: ok"}));
}

TEST(FixedResponder, joins_its_replies_to_one_peer) {
  Talk talk(fixed("ok"));
  EXPECT_EQ(talk.hear(1, std::string(250, 'x'), 100).hear(2, "y").answers(), (Lines{"1/2: okokok", "2: ok"}));
  EXPECT_EQ(talk.counters[Counter::tx_datagrams], 4u);
}

TEST(FixedResponder, drops_an_answer_that_finds_no_memory_and_not_those_behind_it) {
  Talk talk(echo());
  talk.engine.on_send([](const Outgoing& message) { return message.data == "large" ? ENOBUFS : 0; });
  EXPECT_EQ(talk.hear(1, "a").hear(2, "large").hear(3, "b").hear(5, "large").hear(4, "c").answers(),
            (Lines{"1: a", "3: b", "4: c"}));
  EXPECT_EQ(talk.counters[Counter::tx_dropped], 2u);
}

TEST(FixedResponder, drops_all_answers_that_find_the_send_buffer_full) {
  Talk talk(echo());
  bool full = false;
  talk.engine.on_send([&](const Outgoing& message) {
    full = full || message.data == "b";
    return full ? EAGAIN : 0;
  });
  EXPECT_EQ(talk.hear(1, "a").hear(2, "b").hear(3, "c").answers(), (Lines{"1: a"}));
  EXPECT_EQ(talk.counters[Counter::tx_dropped], 2u);
  EXPECT_EQ(talk.engine.send_calls(), 2u) << "and asks no more";
}

TEST(FixedResponder, may_reply_with_an_empty_datagram) {
  Talk talk(fixed(""));
  EXPECT_EQ(talk.hear(1, "hello").hear(1, "again").answers(), (Lines{"1: ", "1: "}));
}

TEST(FixedResponder, sends_every_reply_to_its_target_when_it_has_one) {
  FixedResponder::Options options = fixed("testing...");
  options.target = test::dummy_fd();
  int target = options.target.get();
  Talk talk(std::move(options), kDatagramBytesMax, false);
  talk.engine.on_send([&](const Outgoing& message) {
    EXPECT_EQ(message.fd, target);
    EXPECT_EQ(message.to.family, 0) << "the target is connected";
    return 0;
  });
  EXPECT_EQ(talk.hear(1, "a").hear(2, "b").answers(), (Lines{"0: testing...", "0: testing..."}));
}

TEST(FixedResponder, echoes_each_datagram_to_its_source) {
  Talk talk(echo());
  EXPECT_EQ(talk.hear(1, "one").hear(2, "two").hear(1, "").hear(1, "four").answers(),
            (Lines{"1: one", "2: two", "1: ", "1: four"}));
}

TEST(FixedResponder, echoes_a_super_datagram_as_one) {
  Talk talk(echo());
  EXPECT_EQ(talk.hear(1, "aaaabbbbcc", 4).answers(), Lines{"1/4: aaaabbbbcc"});
  EXPECT_EQ(talk.counters[Counter::tx_datagrams], 3u);
}

TEST(FixedResponder, echoes_the_datagrams_of_a_super_datagram_where_there_is_no_gso) {
  Talk talk(echo(), kDatagramBytesMax, false);
  EXPECT_EQ(talk.hear(1, "aaaabbbbcc", 4).answers(), (Lines{"1: aaaa", "1: bbbb", "1: cc"}));
}

TEST(FixedResponder, echoes_no_more_than_it_keeps) {
  Talk talk(echo(), 3, false);
  EXPECT_EQ(talk.hear(1, "abcdef").hear(2, "abc").hear(3, "ab").hear(4, "").answers(),
            (Lines{"1: abc", "2: abc", "3: ab", "4: "}));
  EXPECT_EQ(talk.hear(1, "aaaabbbbcc", 4).answers(), (Lines{"1: aaa", "1: bbb", "1: cc"}));
}

TEST(FixedResponder, echoes_through_a_target_too) {
  FixedResponder::Options options = echo();
  options.target = test::dummy_fd();
  Talk talk(std::move(options));
  EXPECT_EQ(talk.hear(1, "one").hear(2, "three").answers(), (Lines{"0: one", "0: three"}));
}

TEST(FixedResponder, counts_the_answers_that_a_full_send_buffer_cost) {
  Talk talk(echo());
  talk.engine.on_send([](const Outgoing& message) { return message.to.port == 2 ? EAGAIN : 0; });
  EXPECT_EQ(talk.hear(1, "one").hear(2, "aaaabbbbcc", 4).hear(3, "three").answers(), Lines{"1: one"});
  EXPECT_EQ(talk.counters[Counter::tx_dropped], 4u) << "three segments and the one behind them";
  EXPECT_EQ(talk.counters[Counter::tx_datagrams], 1u);
  talk.engine.on_send({});
  EXPECT_EQ(talk.hear(4, "four").answers(), Lines{"4: four"}) << "it goes on as if nothing had been";
  EXPECT_EQ(talk.counters[Counter::tx_dropped], 4u);
}

TEST(FixedResponder, counts_once_what_left_before_a_split_super_datagram_had_to_wait) {
  Talk talk(echo(), kDatagramBytesMax, false);
  talk.engine.on_send([](const Outgoing& message) { return message.data == "bbbb" ? EAGAIN : 0; });
  EXPECT_EQ(talk.hear(1, "aaaabbbbcc", 4).answers(), Lines{"1: aaaa"});
  EXPECT_EQ(talk.counters[Counter::tx_datagrams], 1u);
  EXPECT_EQ(talk.counters[Counter::tx_dropped], 2u);
}

// The target's port was closed when an earlier answer came: that costs none of those now.
TEST(FixedResponder, is_not_kept_from_answering_by_a_refused_connection) {
  for (bool offloads : {false, true}) {
    FixedResponder::Options options = fixed("ok");
    options.target = test::dummy_fd();
    Talk talk(std::move(options), kDatagramBytesMax, offloads);
    int refusals = 1;
    talk.engine.on_send([&](const Outgoing&) { return refusals-- > 0 ? ECONNREFUSED : 0; });
    EXPECT_EQ(talk.hear(1, "a").hear(2, "b").answers(),
              offloads ? Lines{"0/2: okok"} : (Lines{"0: ok", "0: ok"}));
    EXPECT_EQ(talk.counters[Counter::tx_datagrams], 2u);
  }
}

TEST(FixedResponder, goes_on_behind_an_answer_that_cannot_be_sent) {
  Talk talk(echo(), kDatagramBytesMax, false);
  talk.engine.on_send([](const Outgoing& message) { return message.to.port == 2 ? EACCES : 0; });
  EXPECT_EQ(talk.hear(1, "one").hear(2, "two").hear(3, "three").answers(), (Lines{"1: one", "3: three"}));
  EXPECT_EQ(talk.counters[Counter::tx_errors], 1u);
  EXPECT_EQ(talk.counters[Counter::tx_dropped], 0u);
}

}  // namespace
}  // namespace ksocket
