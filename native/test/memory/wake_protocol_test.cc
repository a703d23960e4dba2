// The protocol between the I/O thread and JavaScript, as a model small enough to try every interleaving.
//
// Two flags keep the sides from sleeping past each other: wake_pending (the consumer need not be woken again)
// and producer_waiting (the producer sleeps until the consumer made room). Each step below is one access to
// shared memory, or one call that wakes the other side; steps of the two sides interleave in every possible
// way. Whatever happens, all records must arrive; where they do not, somebody sleeps for ever.
//
// The model mirrors RxRing, IoThread::pause and unpause_all on one side and Receiver.drain on the other. That
// it would notice a mistake is tested as well: each Mistake swaps or drops one step, and must lose a wake-up.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

namespace ksocket {
namespace {

enum class Mistake {
  none,
  head_read_before_flag_cleared,   // consumer: reads the head, then clears wake_pending
  flag_set_before_head_published,  // producer: sets wake_pending, then publishes the head
  waiting_checked_before_tail,     // consumer: looks at producer_waiting, then moves the tail
  no_second_look_for_room,         // producer: sleeps without looking at the tail again
  flag_not_cleared,                // consumer: never clears wake_pending
  others_left_waiting,  // producer: room turned up for one socket, and the flag of the others is lost
  early_end_without_coming_back,  // consumer: its budget ends, and it waits to be woken
};

constexpr uint8_t kSockets = 2;
constexpr uint8_t kNobody = 0xff;

struct Scenario {
  Mistake mistake = Mistake::none;
  uint8_t slots = 1;                               // of the ring
  std::array<uint8_t, kSockets> records = {2, 2};  // that arrive for each socket
  uint8_t budget = 2;                              // records a drain reads at most
};

struct State {
  // Shared memory.
  uint8_t head = 0, tail = 0;
  bool wake_pending = false, producer_waiting = false;
  // Calls under way.
  bool wake_called = false;   // the thread-safe function: several calls are one
  bool resume_asked = false;  // and the eventfd that goes with it

  // The producer's own.
  enum class Producer : uint8_t {
    idle,
    look,
    push,
    flag,
    wake,
    set_waiting,
    look_again,
    stop_waiting,
    clear_waiting
  };
  Producer producer = Producer::idle;
  uint8_t socket = kNobody;  // being served
  uint8_t tail_seen = 0;
  std::array<uint8_t, kSockets> pending = {};
  std::array<bool, kSockets> paused = {};

  // The consumer's own.
  enum class Consumer : uint8_t { idle, clear, read_head, read, move_tail, take_waiting, resume, end };
  Consumer consumer = Consumer::idle;
  uint8_t head_seen = 0, at = 0;
  bool waiting_seen = false;
  bool comes_back = false;  // setImmediate

  bool operator==(const State&) const = default;
};

struct Hash {
  size_t operator()(const State& s) const {
    uint64_t h = 14695981039346656037u;
    for (uint8_t byte :
         {s.head, s.tail, uint8_t(s.wake_pending), uint8_t(s.producer_waiting), uint8_t(s.wake_called),
          uint8_t(s.resume_asked), uint8_t(s.producer), s.socket, s.tail_seen, s.pending[0], s.pending[1],
          uint8_t(s.paused[0]), uint8_t(s.paused[1]), uint8_t(s.consumer), s.head_seen, s.at,
          uint8_t(s.waiting_seen), uint8_t(s.comes_back)}) {
      h = (h ^ byte) * 1099511628211u;
    }
    return h;
  }
};

using P = State::Producer;
using C = State::Consumer;

// Every state that one step of the producer leads to; none when it sleeps.
void producer_steps(const Scenario& scenario, const State& s, std::vector<State>* out) {
  auto step = [&](auto&& change) {
    State next = s;
    change(next);
    out->push_back(next);
  };
  switch (s.producer) {
    case P::idle:  // IoThread::run: the kernel says what is ready, JavaScript may have asked to go on
      for (uint8_t i = 0; i < kSockets; i++) {
        if (s.pending[i] > 0 && !s.paused[i]) step([&](State& n) { n.socket = i, n.producer = P::look; });
      }
      if (s.resume_asked) step([&](State& n) { n.resume_asked = false, n.producer = P::clear_waiting; });
      return;
    case P::look:  // RxRing::room
      return step([&](State& n) {
        n.tail_seen = s.tail;
        n.producer = s.head - n.tail_seen < scenario.slots ? P::push : P::set_waiting;
      });
    case P::push:  // RxRing::publish, first half
      return step([&](State& n) {
        n.pending[s.socket]--;
        if (scenario.mistake == Mistake::flag_set_before_head_published) {
          n.wake_pending = true;
          n.producer = s.wake_pending ? P::flag : P::wake;
        } else {
          n.head++;
          n.producer = P::flag;
        }
      });
    case P::flag:  // … second half
      return step([&](State& n) {
        if (scenario.mistake == Mistake::flag_set_before_head_published) {
          n.head++;
          n.producer = P::idle;
        } else {
          n.wake_pending = true;
          n.producer = s.wake_pending ? P::idle : P::wake;
        }
      });
    case P::wake:
      return step([&](State& n) {
        n.wake_called = true;
        n.producer = scenario.mistake == Mistake::flag_set_before_head_published ? P::flag : P::idle;
      });
    case P::set_waiting:  // RxRing::wait_for_room
      return step([&](State& n) {
        n.producer_waiting = true;
        n.producer = P::look_again;
        if (scenario.mistake == Mistake::no_second_look_for_room)
          n.paused[s.socket] = true, n.producer = P::idle;
      });
    case P::look_again:
      return step([&](State& n) {
        n.tail_seen = s.tail;
        if (s.head - n.tail_seen < scenario.slots) {
          n.producer = P::stop_waiting;
        } else {
          n.paused[s.socket] = true;
          n.producer = P::idle;
        }
      });
    case P::stop_waiting:  // room turned up; IoThread::pause asks for the others what the flag would have
                           // asked
      return step([&](State& n) {
        n.producer_waiting = false;
        n.producer = P::idle;
        bool others = s.paused[0] || s.paused[1];
        if (others && scenario.mistake != Mistake::others_left_waiting) n.resume_asked = true;
      });
    case P::clear_waiting:  // IoThread::unpause_all
      return step([&](State& n) {
        if (s.paused[0] || s.paused[1]) n.producer_waiting = false;
        n.paused = {};
        n.producer = P::idle;
      });
  }
}

void consumer_steps(const Scenario& scenario, const State& s, std::vector<State>* out) {
  auto step = [&](auto&& change) {
    State next = s;
    change(next);
    out->push_back(next);
  };
  bool flag_late = scenario.mistake == Mistake::head_read_before_flag_cleared;
  bool waiting_first = scenario.mistake == Mistake::waiting_checked_before_tail;
  switch (s.consumer) {
    case C::idle: {
      C first = flag_late ? C::read_head : C::clear;
      if (s.wake_called) step([&](State& n) { n.wake_called = false, n.consumer = first; });
      if (s.comes_back) step([&](State& n) { n.comes_back = false, n.consumer = first; });
      return;
    }
    case C::clear:
      return step([&](State& n) {
        if (scenario.mistake != Mistake::flag_not_cleared) n.wake_pending = false;
        n.consumer = flag_late ? C::read : C::read_head;
      });
    case C::read_head:
      return step([&](State& n) {
        n.head_seen = s.head;
        n.consumer = flag_late ? C::clear : C::read;
      });
    case C::read:  // the records are the consumer's alone: one step for all of them
      return step([&](State& n) {
        uint8_t count = static_cast<uint8_t>(s.head_seen - s.at);
        n.at = static_cast<uint8_t>(s.at + std::min(count, scenario.budget));
        n.consumer = n.at == s.at ? C::end : waiting_first ? C::take_waiting : C::move_tail;
      });
    case C::move_tail:
      return step([&](State& n) {
        n.tail = s.at;
        n.consumer = !waiting_first ? C::take_waiting : s.waiting_seen ? C::resume : C::end;
      });
    case C::take_waiting:
      return step([&](State& n) {
        n.waiting_seen = s.producer_waiting;
        n.producer_waiting = false;
        n.consumer = waiting_first ? C::move_tail : s.producer_waiting ? C::resume : C::end;
      });
    case C::resume:
      return step([&](State& n) {
        n.resume_asked = true;
        n.consumer = C::end;
      });
    case C::end:
      return step([&](State& n) {
        n.waiting_seen = false;
        n.consumer = C::idle;
        if (s.at == s.head_seen || scenario.mistake == Mistake::early_end_without_coming_back) return;
        n.comes_back = true;
        n.wake_pending = true;  // nobody needs to wake us meanwhile
      });
  }
}

struct Result {
  size_t states = 0;  // tried
  size_t stuck = 0;   // of them, where both sleep and records are left
};

Result explore(const Scenario& scenario) {
  State start;
  start.pending = scenario.records;
  std::unordered_set<State, Hash> seen = {start};
  std::vector<State> open = {start}, next;
  Result result;
  while (!open.empty()) {
    State state = open.back();
    open.pop_back();
    next.clear();
    producer_steps(scenario, state, &next);
    consumer_steps(scenario, state, &next);
    uint8_t total = static_cast<uint8_t>(scenario.records[0] + scenario.records[1]);
    if (next.empty() && state.tail != total) result.stuck++;
    for (const State& each : next) {
      if (seen.insert(each).second) open.push_back(each);
    }
  }
  result.states = seen.size();
  return result;
}

std::vector<Scenario> all_scenarios(Mistake mistake) {
  std::vector<Scenario> out;
  for (uint8_t slots : {1, 2, 3}) {
    for (uint8_t a = 0; a <= 4; a++) {
      for (uint8_t b = 0; b <= 3; b++) {
        for (uint8_t budget : {1, 2, 9}) out.push_back({mistake, slots, {a, b}, budget});
      }
    }
  }
  return out;
}

TEST(WakeProtocol, loses_no_wake_up_in_any_interleaving) {
  size_t states = 0;
  for (const Scenario& scenario : all_scenarios(Mistake::none)) {
    Result result = explore(scenario);
    states += result.states;
    ASSERT_EQ(result.stuck, 0u) << "slots " << int{scenario.slots} << ", records " << int{scenario.records[0]}
                                << " and " << int{scenario.records[1]} << ", budget " << int{scenario.budget};
  }
  EXPECT_GT(states, 100'000u) << "the model does not interleave";
}

class WakeProtocolMistake : public testing::TestWithParam<Mistake> {};

TEST_P(WakeProtocolMistake, is_found_by_the_model) {
  for (const Scenario& scenario : all_scenarios(GetParam())) {
    if (explore(scenario).stuck > 0) return;
  }
  FAIL() << "no interleaving loses a wake-up";
}

std::string mistake_name(const testing::TestParamInfo<Mistake>& info) {
  static const char* names[] = {"none",
                                "head_read_before_flag_cleared",
                                "flag_set_before_head_published",
                                "waiting_checked_before_tail",
                                "no_second_look_for_room",
                                "flag_not_cleared",
                                "others_left_waiting",
                                "early_end_without_coming_back"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(, WakeProtocolMistake,
                         testing::Values(Mistake::head_read_before_flag_cleared,
                                         Mistake::flag_set_before_head_published,
                                         Mistake::waiting_checked_before_tail,
                                         Mistake::no_second_look_for_room, Mistake::flag_not_cleared,
                                         Mistake::others_left_waiting,
                                         Mistake::early_end_without_coming_back),
                         mistake_name);

}  // namespace
}  // namespace ksocket
