// A model of who receives: the event loop, the I/O thread and a sender, with the kernel's two epoll instances
// between them. The decisions are those of the real Arbiter; what a step does is what LoopSharing and
// IoThread do.
//
// Numbers are small (two sockets, two datagrams fill the ring, a call receives one), so that each arrow of
// the Arbiter is within reach of a few datagrams and all states can be visited.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "support/who_receives_state.h"

namespace ksocket::test::who_receives {

using Next = std::vector<State>;

class Model {
 public:
  Model(int datagrams, Mistake mistake) : datagrams_(datagrams), mistake_(mistake) {}

  Next next(const State& s) const {
    Next out;
    sender(s, out);
    timer(s, out);
    loop(s, out);
    thread(s, out);
    return out;
  }

 private:
  // ---- the sender, and the timer of fresh sockets

  void sender(const State& s, Next& out) const {
    if (s.sent == datagrams_) return;
    for (int i = 0; i < kSockets; i++) {
      State& then = out.emplace_back(s);
      then.sent++;
      then.sockets[i].in_kernel++;
      notify(then, then.sockets[i]);
    }
  }
  void timer(const State& s, Next& out) const {
    if (!s.timer_is_set) return;
    State& then = out.emplace_back(s);
    then.timer_is_set = false;
    then.timer_is_over = then.thread_woken = true;
    wake_thread(then);
  }

  // ---- what both do

  // How many datagrams one call took.
  static uint32_t receive(State& s, Socket& socket) {
    if (socket.in_kernel == 0 || s.in_ring == kRingSlots) return 0;
    socket.in_kernel--;
    s.in_ring++;
    return 1;
  }
  static bool changes_owner(const State& s) { return s.arbiter.loop_owns() != s.loop_owns; }

  // One step of a hand-over; true when it was the last.
  bool hand_over(State& s) const {
    bool to_loop = s.arbiter.loop_owns();
    Socket& socket = s.sockets[s.hand_over_step / 3];
    bool renew = !socket.fresh && !socket.paused &&
                 (to_loop || mistake_ != Mistake::no_renewal_when_the_thread_gets_the_sockets);
    switch (s.hand_over_step++ % 3) {
      case 0:
        s.loop_owns = to_loop;
        s.locked = true;
        if (to_loop) {
          add_to_loop(s, socket);
        } else {
          if (std::exchange(socket.fresh, false)) add_to_thread(s, socket);
          socket.loop = {};
        }
        break;
      case 1:
        if (renew) socket.thread = {};
        break;
      default:
        if (renew) add_to_thread(s, socket);
    }
    if (s.hand_over_step < 3 * kSockets) return false;
    s.hand_over_step = 0;
    s.locked = false;
    return true;
  }

  // ---- the event loop

  void loop(State s, Next& out) const {
    switch (s.loop_at) {
      case LoopAt::asleep:
        return;
      case LoopAt::before_wait:
        return wait_in_loop(s, out);
      case LoopAt::receives:
        return receive_on_loop(s, out);
      case LoopAt::hands_over:
        if (hand_over(s)) s.loop_at = LoopAt::drains;
        break;
      case LoopAt::drains:
        s.read += s.in_ring;
        s.in_ring = 0;
        s.wake_pending = false;
        if (s.producer_waiting && mistake_ != Mistake::no_resume_after_a_full_ring) {
          s.producer_waiting = false;
          s.resume_asked = s.thread_woken = true;
          wake_thread(s);
        }
        s.loop_at = LoopAt::before_wait;
        break;
    }
    out.push_back(s);
  }
  void wait_in_loop(State s, Next& out) const {
    bool any = false;
    for (uint8_t i = 0; i < kSockets; i++) {
      if (!is_ready(s.sockets[i].loop, s.sockets[i])) continue;
      State& then = out.emplace_back(s);
      then.loop_sees = i;
      then.loop_at = LoopAt::receives;
      any = true;
    }
    if (s.waker) {
      s.waker = false;
      s.loop_at = LoopAt::drains;
    } else if (!any) {
      s.loop_at = LoopAt::asleep;
    } else {
      return;
    }
    out.push_back(s);
  }
  void receive_on_loop(State s, Next& out) const {
    if (s.locked) return;
    Socket& socket = s.sockets[s.loop_sees];
    s.came = s.loop_rounds = true;
    uint32_t got = receive(s, socket);
    if (got > 0) s.wake_pending = true;  // the loop drains without being woken
    if (got > 0) socket.loop_was_woken = false;
    s.loop_at = LoopAt::drains;
    if (!s.loop_owns || got == 0) return out.push_back(s);
    for (uint64_t gap_ns : kGaps) {
      for (uint64_t now_ns : kTimes) {
        State& then = out.emplace_back(s);
        then.arbiter.after_loop_round({got, socket.in_kernel > 0}, gap_ns, now_ns);
        if (changes_owner(then)) then.loop_at = LoopAt::hands_over;
      }
    }
  }

  // ---- the I/O thread

  void thread(State s, Next& out) const {
    switch (s.thread_at) {
      case ThreadAt::asleep:
        return;
      case ThreadAt::before_wait:
        see(s);
        if (s.thread_sees_any()) {
          s.thread_at = ThreadAt::told;
        } else {
          s.thread_at = s.thread_woken ? ThreadAt::serves : ThreadAt::asleep;
        }
        s.thread_woken = false;
        break;
      case ThreadAt::told:
        return told(s, out);
      case ThreadAt::grace:
        return after_grace(s, out);
      case ThreadAt::doze:
        if (!s.loop_owns || s.resume_asked) {
          s.arbiter.end_doze();
        } else {
          s.arbiter.after_doze(std::exchange(s.loop_rounds, false) ? kSmallLimits.doze_rounds : 0);
        }
        s.thread_at = s.arbiter.vigil() == Vigil::dozing ? ThreadAt::doze : ThreadAt::looks;
        break;
      case ThreadAt::looks:
        see(s);
        s.thread_at = s.thread_sees_any() ? ThreadAt::told : ThreadAt::serves;
        break;
      case ThreadAt::serves:
        return serve(s, out);
      case ThreadAt::hands_over:
        if (hand_over(s)) s.thread_at = ThreadAt::before_wait;
        break;
    }
    out.push_back(s);
  }
  static void see(State& s) {
    for (int i = 0; i < kSockets; i++) s.thread_sees[i] = is_ready(s.sockets[i].thread, s.sockets[i]);
  }
  void told(State s, Next& out) const {
    s.thread_at = ThreadAt::serves;
    if (!s.loop_owns || s.resume_asked) return out.push_back(s);
    for (bool saturated : {false, true}) {
      if (saturated && s.arbiter.saturated_until_ns() == 0) continue;
      State& then = out.emplace_back(s);
      if (then.arbiter.on_told(s.came, saturated, static_cast<uint32_t>(s.read)) == 0) continue;
      then.came = false;
      then.thread_at = ThreadAt::grace;
    }
  }
  void after_grace(State s, Next& out) const {
    s.loop_rounds = false;
    for (bool saturated : {false, true}) {
      if (saturated && s.arbiter.saturated_until_ns() == 0) continue;
      State& then = out.emplace_back(s);
      then.arbiter.after_grace(s.came, saturated);
      then.thread_at = then.arbiter.vigil() == Vigil::dozing ? ThreadAt::doze : ThreadAt::looks;
      if (mistake_ != Mistake::no_look_after_the_grace) continue;
      for (Socket& socket : then.sockets) socket.thread.ready = false;
      then.thread_at = ThreadAt::before_wait;
    }
  }
  void serve(State s, Next& out) const {
    if (s.locked) return;
    if (std::exchange(s.timer_is_over, false) && s.fresh() &&
        mistake_ != Mistake::the_timer_of_fresh_sockets_does_nothing) {
      s.sockets[0].fresh = false;
      add_to_thread(s, s.sockets[0]);
    }
    bool had_read_all = s.in_ring == 0;
    RxRound round;
    for (int i = 0; i < kSockets; i++) {
      if (s.thread_sees[i]) serve(s, s.sockets[i], round);
    }
    if (std::exchange(s.resume_asked, false)) {
      for (Socket& socket : s.sockets) {
        if (std::exchange(socket.paused, false)) add_to_thread(s, socket);
      }
      s.producer_waiting = false;
    }
    if (round.datagrams > 0 && !s.wake_pending &&
        mistake_ != Mistake::no_wake_up_for_what_was_read_in_the_loops_place) {
      s.wake_pending = s.waker = true;
      wake_loop(s);
    }
    s.thread_at = ThreadAt::before_wait;
    s.thread_sees = {};
    if (round.datagrams == 0) return out.push_back(s);
    for (uint64_t gap_ns : kGaps) {
      for (bool futile : {false, true}) {
        State& then = out.emplace_back(s);
        if (s.loop_owns) {
          then.arbiter.after_stand_in(round, gap_ns);
        } else {
          then.arbiter.after_thread_round({round, futile, futile, had_read_all}, gap_ns, 0);
        }
        if (changes_owner(then)) then.thread_at = ThreadAt::hands_over;
      }
    }
  }
  static void serve(State& s, Socket& socket, RxRound& round) {
    uint32_t got = receive(s, socket);
    round.datagrams += got;
    round.filled |= got > 0 && socket.in_kernel > 0;
    if (got > 0 || socket.in_kernel == 0) return;
    socket.paused = s.producer_waiting = true;
    s.arbiter.on_full_ring();
    socket.thread = {};
  }

  static constexpr uint64_t kGaps[] = {0, UINT64_MAX};
  static constexpr uint64_t kTimes[] = {0, 2 * kSmallLimits.saturated_ns};

  const int datagrams_;
  const Mistake mistake_;
};

}  // namespace ksocket::test::who_receives
