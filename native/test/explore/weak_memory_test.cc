// The explorer itself: of the small programs that everybody uses to tell memory models apart, it shows each
// outcome that C++ allows, and none that it forbids.
#include "explore/weak_memory.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace ksocket::explore {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto acq_rel = std::memory_order_acq_rel;
constexpr auto seq_cst = std::memory_order_seq_cst;

constexpr uint64_t kSeeds = 4000;

using Outcome = std::vector<uint32_t>;

struct Words {
  uint32_t x = 0, y = 0;
  std::array<uint32_t, 4> seen{};
  uint32_t data = 0;

  Weak<uint32_t> at_x() { return Weak<uint32_t>(x); }
  Weak<uint32_t> at_y() { return Weak<uint32_t>(y); }
};

struct Outcomes {
  std::set<Outcome> seen;
  std::set<std::string> failures;
  bool has(Outcome outcome) const { return seen.contains(outcome); }
};

// What the first `count` of `seen` were, over many schedules.
Outcomes outcomes(size_t count, std::vector<void (*)(Words&)> threads) {
  Outcomes all;
  Explorer explorer;
  for (uint64_t seed = 0; seed < kSeeds; seed++) {
    Words words;
    explorer.begin(seed);
    explorer.watch(&words.data, sizeof words.data);
    for (auto* thread : threads) explorer.start([&words, thread] { thread(words); });
    explorer.run();
    if (!explorer.failure().empty()) {
      all.failures.insert(explorer.failure());
      continue;
    }
    all.seen.insert({words.seen.begin(), words.seen.begin() + static_cast<ptrdiff_t>(count)});
  }
  return all;
}

// Two threads that each write a word and then read the other's.
template <std::memory_order kStore, std::memory_order kLoad>
Outcomes store_buffering() {
  return outcomes(2, {[](Words& w) {
                        w.at_x().store(1, kStore);
                        w.seen[0] = w.at_y().load(kLoad);
                      },
                      [](Words& w) {
                        w.at_y().store(1, kStore);
                        w.seen[1] = w.at_x().load(kLoad);
                      }});
}

TEST(WeakMemory, stores_may_be_seen_late_unless_all_four_accesses_are_sequentially_consistent) {
  EXPECT_TRUE((store_buffering<relaxed, relaxed>().has({0, 0})));
  EXPECT_TRUE((store_buffering<release, acquire>().has({0, 0})));
  EXPECT_TRUE((store_buffering<seq_cst, acquire>().has({0, 0})));
  EXPECT_TRUE((store_buffering<release, seq_cst>().has({0, 0})));
  EXPECT_EQ((store_buffering<seq_cst, seq_cst>().seen), (std::set<Outcome>{{0, 1}, {1, 0}, {1, 1}}));
}

// The same with a read-modify-write between the two.
template <std::memory_order kStore, std::memory_order kExchange>
bool both_sleep() {
  return outcomes(2, {[](Words& w) {
                        w.at_x().store(1, kStore);
                        w.seen[0] = w.at_y().exchange(1, kExchange);
                      },
                      [](Words& w) {
                        w.at_y().store(2);
                        w.seen[1] = w.at_x().load();
                      }})
      .has({0, 0});
}

TEST(WeakMemory, a_read_modify_write_is_no_fence) {
  EXPECT_FALSE((both_sleep<seq_cst, seq_cst>()));
  EXPECT_TRUE((both_sleep<release, seq_cst>()));
  EXPECT_TRUE((both_sleep<seq_cst, acq_rel>()));
}

// One writes data, then a flag.
template <std::memory_order kStore, std::memory_order kLoad>
Outcomes message_passing() {
  return outcomes(2, {[](Words& w) {
                        w.at_x().store(1, relaxed);
                        w.at_y().store(1, kStore);
                      },
                      [](Words& w) {
                        w.seen[0] = w.at_y().load(kLoad);
                        w.seen[1] = w.at_x().load(relaxed);
                      }});
}

TEST(WeakMemory, what_was_written_before_a_release_is_seen_after_its_acquire) {
  EXPECT_TRUE((message_passing<relaxed, acquire>().has({1, 0})));
  EXPECT_TRUE((message_passing<release, relaxed>().has({1, 0})));
  EXPECT_EQ((message_passing<release, acquire>().seen), (std::set<Outcome>{{0, 0}, {0, 1}, {1, 1}}));
}

template <std::memory_order kStore, std::memory_order kLoad>
Outcomes data_behind_a_flag() {
  return outcomes(1, {[](Words& w) {
                        Explorer::current().note_write(&w.data, sizeof w.data);
                        w.at_y().store(1, kStore);
                      },
                      [](Words& w) {
                        w.seen[0] = w.at_y().load(kLoad);
                        if (w.seen[0] == 1) Explorer::current().note_read(&w.data, sizeof w.data);
                      }});
}

TEST(WeakMemory, other_memory_needs_release_and_acquire) {
  EXPECT_EQ((data_behind_a_flag<release, acquire>().failures), std::set<std::string>{});
  EXPECT_EQ((data_behind_a_flag<relaxed, acquire>().failures),
            std::set<std::string>{"read while it is written"});
  EXPECT_EQ((data_behind_a_flag<release, relaxed>().failures),
            std::set<std::string>{"read while it is written"});
}

TEST(WeakMemory, a_word_does_not_go_back) {
  Outcomes all = outcomes(2, {[](Words& w) {
                                w.at_x().store(1, relaxed);
                                w.at_x().store(2, relaxed);
                              },
                              [](Words& w) {
                                w.seen[0] = w.at_x().load(relaxed);
                                w.seen[1] = w.at_x().load(relaxed);
                              }});
  EXPECT_EQ(all.seen, (std::set<Outcome>{{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}}));
}

TEST(WeakMemory, stores_of_two_threads_may_come_in_any_order_but_the_same_for_all) {
  Outcomes all =
      outcomes(4, {[](Words& w) { w.at_x().store(1, relaxed); }, [](Words& w) { w.at_x().store(2, relaxed); },
                   [](Words& w) {
                     w.seen[0] = w.at_x().load(relaxed);
                     w.seen[1] = w.at_x().load(relaxed);
                   },
                   [](Words& w) {
                     w.seen[2] = w.at_x().load(relaxed);
                     w.seen[3] = w.at_x().load(relaxed);
                   }});
  EXPECT_TRUE(all.has({1, 2, 1, 2}));
  EXPECT_TRUE(all.has({2, 1, 2, 1}));
  EXPECT_FALSE(all.has({1, 2, 2, 1}));
  EXPECT_FALSE(all.has({2, 1, 1, 2}));
}

template <std::memory_order kOrder>
bool two_readers_disagree() {
  return outcomes(4,
                  {[](Words& w) { w.at_x().store(1, kOrder); }, [](Words& w) { w.at_y().store(1, kOrder); },
                   [](Words& w) {
                     w.seen[0] = w.at_x().load(kOrder == seq_cst ? seq_cst : acquire);
                     w.seen[1] = w.at_y().load(kOrder == seq_cst ? seq_cst : acquire);
                   },
                   [](Words& w) {
                     w.seen[2] = w.at_y().load(kOrder == seq_cst ? seq_cst : acquire);
                     w.seen[3] = w.at_x().load(kOrder == seq_cst ? seq_cst : acquire);
                   }})
      .has({1, 0, 1, 0});
}

TEST(WeakMemory, readers_of_two_words_may_disagree_unless_all_is_sequentially_consistent) {
  EXPECT_TRUE(two_readers_disagree<release>());
  EXPECT_FALSE(two_readers_disagree<seq_cst>());
}

TEST(WeakMemory, no_two_read_modify_writes_read_the_same_store) {
  auto take = [](Words& w) { w.seen[0] += w.at_x().exchange(1, relaxed) == 0 ? 1 : 0; };
  EXPECT_EQ(outcomes(1, {take, take, take}).seen, (std::set<Outcome>{{1}}));
}

TEST(WeakMemory, a_read_modify_write_goes_on_with_the_release_it_read) {
  Outcomes all = outcomes(1, {[](Words& w) {
                                Explorer::current().note_write(&w.data, sizeof w.data);
                                w.at_y().store(1, release);
                              },
                              [](Words& w) {
                                if (w.at_y().load(relaxed) == 1) w.at_y().exchange(2, relaxed);
                              },
                              [](Words& w) {
                                w.seen[0] = w.at_y().load(acquire);
                                if (w.seen[0] == 2) Explorer::current().note_read(&w.data, sizeof w.data);
                              }});
  EXPECT_TRUE(all.has({2}));
  EXPECT_EQ(all.failures, std::set<std::string>{});
}

TEST(WeakMemory, two_writes_and_a_write_beside_a_read_are_races) {
  auto write = [](Words& w) { Explorer::current().note_write(&w.data, sizeof w.data); };
  auto read = [](Words& w) { Explorer::current().note_read(&w.data, sizeof w.data); };
  EXPECT_EQ(outcomes(1, {write, write}).failures, std::set<std::string>{"two writes at once"});
  EXPECT_EQ(outcomes(1, {write, read}).failures,
            (std::set<std::string>{"read while it is written", "written while it is read"}));
  EXPECT_EQ(outcomes(1, {read, read}).failures, std::set<std::string>{});
}

TEST(WeakMemory, who_waits_in_vain_does_not_end_and_who_spins_is_stopped) {
  Explorer explorer;
  Signal never;
  explorer.begin(1);
  explorer.start([&] { never.wait(); });
  explorer.start([] {});
  explorer.run();
  EXPECT_EQ(explorer.failure(), "");
  EXPECT_FALSE(explorer.ended(0));
  EXPECT_TRUE(explorer.ended(1));

  uint32_t word = 0;
  explorer.begin(1);
  explorer.start([&] {
    while (Weak<uint32_t>(word).load() == 0) {
    }
  });
  explorer.run();
  EXPECT_EQ(explorer.failure(), "does not end");
}

}  // namespace
}  // namespace ksocket::explore
