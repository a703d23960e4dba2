// Every order of the steps of the event loop, the I/O thread and a sender: no datagram is lost, none waits
// for a loop that is stuck, and no state is left by nobody.
#include "support/who_receives_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace ksocket {
namespace {

using namespace test::who_receives;

// Three reach every arrow; each one more is ten times the states.
int datagrams() {
  const char* wanted = std::getenv("KSOCKET_MODEL_DATAGRAMS");
  return wanted != nullptr ? std::atoi(wanted) : 3;
}

bool is_good_end(const State& s) {
  return s.read == datagrams() && s.loop_at == LoopAt::asleep && s.thread_at == ThreadAt::asleep;
}

// JavaScript is at work and stays it, the thread sleeps: does a datagram wait of which only the loop will
// ever hear? (One that has woken the loop, which then went to another listener first, may.)
bool waits_for_a_stuck_loop(const State& s) {
  if (s.loop_at == LoopAt::asleep || s.loop_at == LoopAt::hands_over) return false;
  if (s.thread_at != ThreadAt::asleep) return false;
  if (s.timer_is_set || s.timer_is_over) return false;
  return std::any_of(s.sockets.begin(), s.sockets.end(), [](const Socket& socket) {
    return socket.in_kernel > 0 && !socket.paused && !socket.loop_was_woken;
  });
}

struct Explored {
  size_t states = 0;
  std::set<Owner> owners;
  std::set<Vigil> vigils;
  size_t bad_ends = 0;   // nobody does anything any more, and something was not read
  size_t dead_ends = 0;  // states from which no good end can be reached
  size_t stuck = 0;      // waits_for_a_stuck_loop()

  size_t faults() const { return bad_ends + dead_ends + stuck; }
};

// From how many states a good end can be reached.
size_t leading_to(std::vector<uint32_t> ends, std::vector<std::pair<uint32_t, uint32_t>> steps,
                  size_t states) {
  std::sort(steps.begin(), steps.end());
  std::vector<bool> leads(states);
  size_t count = ends.size();
  for (uint32_t end : ends) leads[end] = true;
  while (!ends.empty()) {
    uint32_t to = ends.back();
    ends.pop_back();
    auto at = std::lower_bound(steps.begin(), steps.end(), std::pair(to, 0u));
    for (; at != steps.end() && at->first == to; ++at) {
      if (leads[at->second]) continue;
      leads[at->second] = true;
      ends.push_back(at->second);
      count++;
    }
  }
  return count;
}

// Ends with the first fault that is asked for.
Explored explore(Mistake mistake, size_t faults_max) {
  Model model(datagrams(), mistake);
  Explored out;
  std::map<State, uint32_t> numbers;
  std::vector<const State*> states;                  // by number
  std::vector<std::pair<uint32_t, uint32_t>> steps;  // to, from
  std::vector<uint32_t> good;
  auto number_of = [&](State&& state) {
    auto [at, is_new] = numbers.try_emplace(std::move(state), static_cast<uint32_t>(states.size()));
    if (is_new) states.push_back(&at->first);
    return at->second;
  };
  number_of(beginning());
  for (uint32_t i = 0; i < states.size() && out.faults() < faults_max; i++) {
    const State& state = *states[i];
    out.owners.insert(state.arbiter.owner());
    out.vigils.insert(state.arbiter.vigil());
    out.stuck += waits_for_a_stuck_loop(state);
    Next next = model.next(state);
    if (is_good_end(state)) {
      good.push_back(i);
    } else if (next.empty()) {
      out.bad_ends++;
    }
    for (State& each : next) steps.emplace_back(number_of(std::move(each)), i);
  }
  out.states = states.size();
  if (out.faults() >= faults_max) return out;
  out.dead_ends = states.size() - leading_to(good, std::move(steps), states.size());
  return out;
}

TEST(WhoReceivesModel, loses_no_datagram_and_leaves_every_state) {
  Explored found = explore(Mistake::none, SIZE_MAX);
  RecordProperty("states", static_cast<int>(found.states));
  EXPECT_GT(found.states, 10'000u);
  EXPECT_EQ(found.owners, (std::set{Owner::loop, Owner::loop_saturated, Owner::thread}));
  EXPECT_EQ(found.vigils, (std::set{Vigil::asleep, Vigil::grace, Vigil::dozing, Vigil::standing_in}));
  EXPECT_EQ(found.bad_ends, 0u);
  EXPECT_EQ(found.dead_ends, 0u);
  EXPECT_EQ(found.stuck, 0u);
}

class WhoReceivesMistake : public testing::TestWithParam<Mistake> {};

TEST_P(WhoReceivesMistake, is_found_by_the_model) {
  Explored found = explore(GetParam(), 1);
  EXPECT_GT(found.faults(), 0u);
}

INSTANTIATE_TEST_SUITE_P(, WhoReceivesMistake,
                         testing::Values(Mistake::no_renewal_when_the_thread_gets_the_sockets,
                                         Mistake::the_timer_of_fresh_sockets_does_nothing,
                                         Mistake::no_look_after_the_grace,
                                         Mistake::no_wake_up_for_what_was_read_in_the_loops_place,
                                         Mistake::no_resume_after_a_full_ring));

}  // namespace
}  // namespace ksocket
