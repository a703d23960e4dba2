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

// Ends with the first fault that is asked for.
Explored explore(Mistake mistake, size_t faults_max) {
  Model model(datagrams(), mistake);
  Explored out;
  std::map<State, std::vector<const State*>> before;  // each state, and those it is reached from
  std::vector<const State*> todo{&before.try_emplace(beginning()).first->first}, good;
  while (!todo.empty() && out.faults() < faults_max) {
    const State* state = todo.back();
    todo.pop_back();
    out.owners.insert(state->arbiter.owner());
    out.vigils.insert(state->arbiter.vigil());
    out.stuck += waits_for_a_stuck_loop(*state);
    Next next = model.next(*state);
    if (is_good_end(*state)) {
      good.push_back(state);
    } else if (next.empty()) {
      out.bad_ends++;
    }
    for (State& each : next) {
      auto [at, is_new] = before.try_emplace(std::move(each));
      at->second.push_back(state);
      if (is_new) todo.push_back(&at->first);
    }
  }
  if (out.faults() >= faults_max) return out;
  std::set<const State*> leads_to_an_end(good.begin(), good.end());
  while (!good.empty()) {
    const State* state = good.back();
    good.pop_back();
    for (const State* each : before.at(*state)) {
      if (leads_to_an_end.insert(each).second) good.push_back(each);
    }
  }
  out.states = before.size();
  out.dead_ends = before.size() - leads_to_an_end.size();
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
