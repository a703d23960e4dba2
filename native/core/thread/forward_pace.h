// What the thread of a server does between two rounds of which it forwarded something.
//
// Much comes, and all of it is forwarded, one way: it sleeps for a fuller batch (Moderation), whose datagrams
// leave together. Not for less than gather_forwarded datagrams, and not where lately anybody was answered, by
// the thread or by a back end: he may wait for the next answer.
//
// Where somebody was, the other side may answer within less than it takes to sleep and to be woken: it looks
// for that first, as long as it pays. For answers to requests and for requests behind answers that is decided
// apart: a back end may be fast where the client thinks. So it is behind frames of a tunnel: of TCP, those
// that follow are on their way.
#pragma once

#include <sched.h>

#include <cstdint>
#include <span>
#include <utility>

#include "core/base/clock.h"
#include "core/datapath/rx_round.h"
#include "core/sharing/limits.h"
#include "core/sharing/look_credit.h"
#include "core/sharing/moderation.h"
#include "engine/engine.h"

namespace ksocket {

class ForwardPace {
 public:
  // `waits`: may it sleep for a fuller batch?
  explicit ForwardPace(bool waits)
      : moderation_({.usecs_max = waits ? kLimits.forward_wait_us : 0, .gather = kLimits.gather_forwarded}) {}

  // After a round: how long to sleep before the next.
  uint64_t after(const RxRound& round, uint64_t now_ns) {
    if (round.frames > 0) {
      chance_ = &frames_;
      return 0;
    }
    if (round.datagrams == 0) return 0;
    chance_ = nullptr;
    if (round.returned > 0 || round.forwarded < round.datagrams) answered_ = true;
    if (round.forwarded == 0) return rounds_ = 0;
    if (std::exchange(answered_, false)) one_way_from_ns_ = now_ns + kLimits.forward_one_way_ns;
    bool one_way = now_ns >= one_way_from_ns_;
    rounds_ = one_way ? rounds_ + 1 : 0;
    uint64_t pause_ns = 0;
    if (rounds_ > kLimits.forward_rounds) {
      pause_ns = moderation_.after(round, now_ns);
    } else {
      moderation_.observe(round, now_ns);
    }
    if (!one_way) chance_ = round.returned < round.forwarded ? &answers_ : &requests_;
    return pause_ns;
  }

  // Before the thread sleeps: the first events that `look()` finds, if it pays to look. Between two looks
  // others may have the processor: who is to answer may need it. Where they had it for longer than for an
  // answer, to sleep were better.
  template <typename Look, typename Interrupted>
  std::span<Event> look(Look&& look, Interrupted&& interrupted) {
    LookCredit* chance = std::exchange(chance_, nullptr);
    if (chance == nullptr || !chance->pays()) return {};
    uint64_t from_ns = clock_ns(CLOCK_MONOTONIC), elapsed_ns = 0;
    std::span<Event> events = look();
    while (events.empty() && elapsed_ns < chance->look_ns() && !interrupted()) {
      sched_yield();
      events = look();
      elapsed_ns = clock_ns(CLOCK_MONOTONIC) - from_ns;
    }
    chance->note(!events.empty(), elapsed_ns);
    return events;
  }

 private:
  Moderation moderation_;
  uint32_t rounds_ = 0;           // in a row, that nobody may wait for
  bool answered_ = false;         // somebody was, since the latest round that forwarded
  uint64_t one_way_from_ns_ = 0;  // unless somebody is answered
  LookCredit answers_{kLimits.forward_look_ns, kLimits.look_worth_ns};
  LookCredit requests_{kLimits.forward_look_ns, kLimits.look_worth_ns};
  LookCredit frames_{kLimits.frame_look_ns, kLimits.look_worth_ns};
  LookCredit* chance_ = nullptr;  // null: there is none
};

}  // namespace ksocket
