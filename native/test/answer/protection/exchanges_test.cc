#include "core/answer/protection/exchanges.h"

#include <gtest/gtest.h>

#include <cmath>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "support/fake_engine.h"

namespace ksocket {
namespace {

using test::address_of;

constexpr uint64_t kMs = 1'000'000;
constexpr RateLimit kLimit{100, 1000};

// One peer and us, on a clock that the test moves.
class Talk {
 public:
  bool answers(const std::string& payload, uint32_t count = 1, uint16_t port = 4000) {
    auto& exchange = exchanges.find(address_of("127.0.0.1", port), now_ns);
    return exchanges.admits(exchange, {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()},
                            count, now_ns);
  }
  // A loop of `circulating` datagrams that come back after `trip_ns`; how many rounds it lives, `rounds_max`
  // at most. `say`: what the datagram of that number says.
  template <typename Say>
  int rounds_of_loop(int circulating, uint64_t trip_ns, int rounds_max, Say say) {
    std::vector<int> alive(circulating);
    for (int i = 0; i < circulating; i++) alive[i] = i;
    for (int round = 0; round < rounds_max; round++) {
      std::erase_if(alive, [&](int i) { return !answers(say(i)); });
      if (alive.empty()) return round;
      now_ns += trip_ns;
    }
    return rounds_max;
  }

  // A loop whose datagrams are spread over its round trip; how many answers leave in `time_ns`.
  uint64_t answers_to_loop(uint64_t circulating, uint64_t trip_ns, uint64_t time_ns) {
    std::queue<std::pair<uint64_t, std::string>> on_the_way;  // when, and what
    for (uint64_t i = 0; i < circulating; i++) {
      on_the_way.emplace(now_ns + i * trip_ns / circulating, "datagram " + std::to_string(i));
    }
    uint64_t answered = 0, end_ns = now_ns + time_ns;
    for (; !on_the_way.empty() && on_the_way.front().first < end_ns; on_the_way.pop()) {
      auto& [due_ns, payload] = on_the_way.front();
      now_ns = due_ns;
      if (!answers(payload)) continue;
      answered++;
      on_the_way.emplace(now_ns + trip_ns, payload);
    }
    return answered;
  }
  // A client that asks the next as soon as it is answered, and the same again when it was not for
  // `patience_ns`; how many answers it gets in `time_ns`. `say`: its requests.
  template <typename Say>
  uint64_t answers_to_client(uint64_t trip_ns, uint64_t patience_ns, uint64_t time_ns, Say say) {
    uint64_t answered = 0, end_ns = now_ns + time_ns;
    while (now_ns < end_ns) {
      bool was_answered = answers(say(answered));
      answered += was_answered ? 1 : 0;
      now_ns += was_answered ? trip_ns : patience_ns;
    }
    return answered;
  }

  Exchanges exchanges{kLimit, 1};
  uint64_t now_ns = 1'000 * kMs;
};

std::string same(int) {
  return "testing...";
}

TEST(Exchanges, ends_a_loop_when_its_tokens_are_used_up) {
  Talk talk;
  EXPECT_LT(talk.rounds_of_loop(1, 40'000, 100'000, same), 1010);
}

TEST(Exchanges, ends_a_loop_of_many_datagrams) {
  Talk talk;
  EXPECT_LT(talk.rounds_of_loop(200, 40'000, 100'000, same), 20);
}

TEST(Exchanges, ends_a_loop_of_many_different_datagrams) {
  Talk talk;
  auto each = [](int i) { return "datagram " + std::to_string(i); };
  EXPECT_LT(talk.rounds_of_loop(100, 40'000, 100'000, each), 2000);
}

TEST(Exchanges, ends_a_loop_of_more_different_datagrams_than_it_counts) {
  for (uint64_t circulating : {200u, 1000u, 5000u}) {
    Talk talk;
    uint64_t answered = talk.answers_to_loop(circulating, circulating * 2'000, 60'000 * kMs);
    // What is new earns something, once.
    EXPECT_LT(answered, kLimit.burst + circulating * (Exchanges::kTokensForNew + 2)) << circulating;
  }
}

TEST(Exchanges, ends_a_loop_that_takes_longer_than_a_trial) {
  for (uint64_t trip_ns : {12 * kMs, 30 * kMs, 60 * kMs, 150 * kMs}) {
    Talk talk;
    uint64_t circulating = trip_ns / 40'000;  // 25 000 a second
    talk.answers_to_loop(circulating, trip_ns, 600'000 * kMs);
    EXPECT_LT(talk.now_ns, 500'000 * kMs) << "it has ended, trip " << trip_ns;
  }
}

TEST(Exchanges, takes_what_says_what_we_said_for_an_answer) {
  Talk talk;
  Address peer = address_of("127.0.0.1", 4000);
  std::string payload = "go";
  int rounds = 0;
  while (rounds < 100'000 && talk.answers(payload)) {
    payload = "reply " + std::to_string(rounds++);
    if (!talk.exchanges.listens(talk.exchanges.find(peer, talk.now_ns))) continue;
    talk.exchanges.said(peer, {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()});
  }
  EXPECT_LT(rounds, static_cast<int>(kLimit.burst) + 200);
}

TEST(Exchanges, answers_a_client_that_counts_in_a_byte_and_asks_again) {
  Talk talk;
  auto byte = [](uint64_t i) { return std::string(1, static_cast<char>(i)); };
  uint64_t answered = talk.answers_to_client(100'000, 200 * kMs, 60'000 * kMs, byte);
  EXPECT_GT(answered, 60u * kLimit.burst * 2) << "a burst takes it 100 ms, and a lost answer 200";
}

TEST(Exchanges, slows_who_starts_the_same_loop_again_and_again_to_the_rate) {
  Talk talk;
  uint64_t answered = 0, restarts = 0;
  uint64_t begin_ns = talk.now_ns;
  while (talk.now_ns < begin_ns + 60'000 * kMs) {
    answered += talk.answers("same");
    talk.now_ns += 5 * kMs;  // 200 a second, 100 of which may be answered
    if (talk.answers("same")) continue;
    talk.now_ns += 100 * kMs;
    restarts++;
  }
  EXPECT_LT(answered, 60 * kLimit.rate + kLimit.burst + restarts * Exchanges::kTokensForRetry);
}

TEST(Exchanges, leaves_who_keeps_to_the_rate_alone) {
  Talk talk;
  for (int i = 0; i < 100'000; i++) {
    ASSERT_TRUE(talk.answers("same")) << i;
    talk.now_ns += 10 * kMs;
  }
}

TEST(Exchanges, leaves_a_client_alone_whose_requests_differ) {
  Talk talk;
  for (int i = 0; i < 1'000'000; i++) {
    ASSERT_TRUE(talk.answers("request " + std::to_string(i))) << i;
    talk.now_ns += 20'000;
  }
}

TEST(Exchanges, leaves_a_client_alone_that_rarely_says_something_else) {
  Talk talk;
  for (int i = 0; i < 100'000; i++) {
    ASSERT_TRUE(talk.answers(i % 100 == 0 ? "tick " + std::to_string(i) : "same")) << i;
    talk.now_ns += 20'000;
  }
}

// With a whole quarter left nobody looks yet whether it is new, which would earn tokens. All are used in the
// end.
TEST(Exchanges, tells_payloads_apart_below_a_quarter_of_the_tokens) {
  Talk talk;
  auto say = [&](int times, const std::string& payload) {
    for (int i = 0; i < times; i++) ASSERT_TRUE(talk.answers(payload)) << payload << i;
  };
  say(750, "before");
  say(2, "one kind");
  say(1, "another");  // 248 are left, and it earns some
  say(Exchanges::kTokensForNew - 3, "one kind");
  say(1, "with a quarter left");
  int more = 0;
  while (more < 1000 && talk.answers("one kind")) more++;
  EXPECT_EQ(more, 249);
}

TEST(Exchanges, gives_all_tokens_back_after_a_pause) {
  Talk talk;
  for (int burst = 0; burst < 10; burst++) {
    for (uint64_t i = 0; i < kLimit.burst; i++) ASSERT_TRUE(talk.answers("same")) << i;
    talk.now_ns += Exchanges::kPauseNs;
  }
}

// A flood does not wait for answers, whatever it says: all that it loses is a trial now and then.
TEST(Exchanges, answers_a_flood_of_one_payload) {
  for (uint64_t gap_ns : {2'000, 100'000, 2'000'000}) {
    Talk talk;
    uint64_t refused = 0, all = 40'000'000'000 / gap_ns;
    for (uint64_t i = 0; i < all; i++) {
      refused += talk.answers("same") ? 0 : 1;
      talk.now_ns += gap_ns;
    }
    EXPECT_LT(refused, all / 350) << gap_ns;
  }
}

TEST(Exchanges, answers_a_flood_of_super_datagrams) {
  Talk talk;
  std::string joined(64 * 64, 'k');
  uint64_t refused = 0;
  for (int i = 0; i < 1'000'000; i++) {
    refused += talk.answers(joined, 64) ? 0 : 1;
    talk.now_ns += 30'000;
  }
  EXPECT_LT(refused, 3500u);
}

TEST(Exchanges, a_datagram_forged_into_a_trial_earns_what_it_is_worth_and_no_more) {
  Talk talk;
  talk.rounds_of_loop(1, 40'000, 100'000, same);
  talk.now_ns += Exchanges::kDrainNs;
  EXPECT_FALSE(talk.answers("testing..."));
  talk.now_ns += Exchanges::kListenNs;
  int rounds = talk.rounds_of_loop(1, 40'000, 100'000, same);
  EXPECT_GE(rounds, static_cast<int>(Exchanges::kTokensForRetry));
  EXPECT_LT(rounds, static_cast<int>(2 * Exchanges::kTokensForRetry) + 100);
}

TEST(Exchanges, tells_peers_apart_by_their_ports) {
  Talk talk;
  talk.rounds_of_loop(1, 40'000, 100'000, same);
  EXPECT_FALSE(talk.answers("testing..."));
  EXPECT_TRUE(talk.answers("testing...", 1, 4001));
}

TEST(Exchanges, keeps_a_loops_place_in_a_flood_of_spoofed_sources) {
  Talk talk;
  talk.rounds_of_loop(1, 40'000, 100'000, same);
  for (uint16_t port = 5000; port < 65535; port++) talk.answers("flood", 1, port);
  EXPECT_FALSE(talk.answers("testing..."));
}

TEST(Exchanges, remembers_new_peers_in_the_places_of_those_that_pause_however_few_tokens_they_had) {
  Exchanges exchanges(kLimit, 1);
  uint64_t now_ns = 1'000 * kMs;
  auto find = [&](uint16_t port) -> auto& {
    return exchanges.find(address_of("127.0.0.1", port), now_ns);
  };
  for (uint16_t port = 1000; port < 11'000; port++) find(port).tokens = 0;  // no place is nobody's
  now_ns += Exchanges::kPauseNs;
  constexpr uint16_t kFirst = 20'000, kNew = Exchanges::kPlaces / 4;  // one a set, on average
  for (uint16_t i = 0; i < kNew; i++) find(kFirst + i).asked = 7;
  uint32_t remembered = 0;
  for (uint16_t i = 0; i < kNew; i++) remembered += find(kFirst + i).asked == 7;
  EXPECT_GT(remembered, kNew * 9 / 10);
}

// A flood at 10 000 a second: each trial, and the answers between two.
TEST(Exchanges, tries_for_20_30_50_90_and_170_ms_and_each_trial_earns_four_times_as_much) {
  Talk talk;
  constexpr uint64_t kGapNs = 100'000;
  std::vector<uint64_t> trials_ms, answers;
  uint64_t answered = 0, begin_ns = 0;
  while (trials_ms.size() < 6) {
    bool answer = talk.answers("same");
    answered += answer ? 1 : 0;
    if (!answer && begin_ns == 0) {
      begin_ns = talk.now_ns;
      answers.push_back(std::exchange(answered, 0));
    } else if (answer && begin_ns != 0) {
      trials_ms.push_back((talk.now_ns - begin_ns) / kMs);
      begin_ns = 0;
    }
    talk.now_ns += kGapNs;
  }
  EXPECT_EQ(trials_ms, (std::vector<uint64_t>{20, 30, 50, 90, 170, 170}));
  uint64_t heard = Exchanges::kListenNs / kGapNs;
  for (size_t i = 1; i < answers.size(); i++) {
    double earned = static_cast<double>(heard * 256) * std::pow(4, i - 1);
    EXPECT_NEAR(static_cast<double>(answers[i]), earned, earned * 0.03) << i;
  }
}

TEST(Exchanges, keeps_back_200_ms_of_a_flood_in_its_first_minute_and_then_less_than_a_thousandth) {
  for (uint64_t gap_ns : {200'000, 2'000'000}) {
    Talk talk;
    auto refused_ns = [&](uint64_t time_ns) {
      uint64_t refused = 0;
      for (uint64_t end_ns = talk.now_ns + time_ns; talk.now_ns < end_ns; talk.now_ns += gap_ns) {
        refused += talk.answers("same") ? 0 : gap_ns;
      }
      return refused;
    };
    uint64_t first = refused_ns(60'000 * kMs);
    EXPECT_GT(first, 100 * kMs);
    EXPECT_LT(first, 200 * kMs);
    EXPECT_LT(refused_ns(600'000 * kMs), 600 * kMs);
  }
}

TEST(Exchanges, gives_128_answers_to_who_asks_once_more_behind_a_silence) {
  Talk talk;
  talk.rounds_of_loop(1, 40'000, 100'000, same);
  talk.now_ns += Exchanges::kDrainNs + Exchanges::kListenNs;
  int answered = 0;
  while (talk.answers("testing...")) answered++;
  EXPECT_EQ(answered, 128 + 2) << "and two that the rate has given back meanwhile";
}

TEST(SeenPayloads, remembers_the_latest_8000_and_most_of_30_000) {
  SeenPayloads seen;
  for (uint64_t i = 0; i < 100'000; i++) seen.add(seeded_hash(1, {i}));
  auto remembered = [](SeenPayloads copy, uint64_t latest) {
    uint64_t count = 0;
    // What was not there takes a place: asked from the latest on, it costs the rest nothing.
    for (uint64_t i = 100'000; i-- > 100'000 - latest;) {
      SeenPayloads each = copy;
      count += each.add(seeded_hash(1, {i})) ? 1 : 0;
      if (i % 8 != 0) i -= i % 8;  // one in eight is enough
    }
    return static_cast<double>(count) / (static_cast<double>(latest) / 8);
  };
  EXPECT_GT(remembered(seen, 8000), 0.99);
  EXPECT_GT(remembered(seen, 30'000), 0.7);
}

}  // namespace
}  // namespace ksocket
