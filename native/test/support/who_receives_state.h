// What the model of who receives is made of: sockets, the kernel's two epoll instances, and where the event
// loop and the I/O thread are in their work. The kernel does what ep_poll_callback and ep_send_events of
// fs/eventpoll.c do.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include "core/sharing/arbiter.h"

namespace ksocket::test::who_receives {

inline constexpr int kRingSlots = 2;
inline constexpr int kSockets = 2;  // the first is fresh when it begins

inline constexpr Limits kSmallLimits{
    .efficient_datagrams = 2,
    .mean_rounds = 1,
    .patience_datagrams_min = 1,
    .patience_datagrams_futile = 2,
    .patience_factor = 2,
    .patience_datagrams_max = 2,
    .eager_rounds = 1,
    .full_rings = 1,
    .saturated_mean = 1,
    .relaxed_rounds = 2,
    .grace_ns = 1,
    .grace_ns_max = 2,
    .doze_rounds = 1,
};

// Steps that a careless change would leave out, to see that the model notices.
enum class Mistake {
  none,
  no_renewal_when_the_thread_gets_the_sockets,
  the_timer_of_fresh_sockets_does_nothing,
  no_look_after_the_grace,
  no_wake_up_for_what_was_read_in_the_loops_place,
  no_resume_after_a_full_ring,
};

// An epoll instance's entry for a socket.
struct Entry {
  bool exists = false;
  bool ready = false;  // is it in the ready list?
  auto operator<=>(const Entry&) const = default;
};

struct Socket {
  int in_kernel = 0;  // datagrams
  Entry loop, thread;
  bool loop_first = true;  // of its exclusive waiters
  bool fresh = false;
  bool paused = false;
  bool loop_was_woken = false;  // for it, and has not received since
  auto operator<=>(const Socket&) const = default;
};

enum class LoopAt : uint8_t { before_wait, asleep, receives, hands_over, drains };
enum class ThreadAt : uint8_t { before_wait, asleep, told, grace, doze, looks, serves, hands_over };

struct State {
  int sent = 0, in_ring = 0, read = 0;
  std::array<Socket, kSockets> sockets;

  Arbiter arbiter{kSmallLimits};
  bool loop_owns = true;  // as handed over
  bool came = true;
  bool loop_rounds = false;  // has the loop received since the doze began?
  bool timer_is_set = true, timer_is_over = false;
  bool locked = false;  // while a hand-over lasts
  uint8_t hand_over_step = 0;

  LoopAt loop_at = LoopAt::before_wait;
  ThreadAt thread_at = ThreadAt::before_wait;
  uint8_t loop_sees = 0;                            // the socket that it receives from next
  std::array<bool, kSockets> thread_sees{};         // the sockets it was told of
  bool waker = false, wake_pending = false;         // the loop's
  bool thread_woken = false, resume_asked = false;  // the thread's
  bool producer_waiting = false;

  bool fresh() const { return sockets[0].fresh; }
  bool thread_sees_any() const { return thread_sees[0] || thread_sees[1]; }

  auto operator<=>(const State&) const = default;
};

inline State beginning() {
  State state;
  for (Socket& socket : state.sockets) socket.loop.exists = true;
  state.sockets[0].fresh = true;
  state.sockets[1].thread.exists = true;
  return state;
}

// ---- the kernel

// Out of epoll_wait. False when they are not in it.
inline bool wake_loop(State& s) {
  if (s.loop_at != LoopAt::asleep) return false;
  s.loop_at = LoopAt::before_wait;
  return true;
}
inline bool wake_thread(State& s) {
  if (s.thread_at != ThreadAt::asleep) return false;
  s.thread_at = ThreadAt::before_wait;
  return true;
}
// The walk over the socket's wait queue: it ends at the first exclusive waiter that it woke.
inline void notify(State& s, Socket& socket) {
  for (bool loops_turn : {socket.loop_first, !socket.loop_first}) {
    Entry& entry = loops_turn ? socket.loop : socket.thread;
    if (!entry.exists) continue;
    entry.ready = true;
    if (loops_turn ? wake_loop(s) : wake_thread(s)) {
      socket.loop_was_woken |= loops_turn;
      return;
    }
  }
}
// Level-triggered: what is in the list and not readable any more leaves it.
inline bool is_ready(Entry& entry, const Socket& socket) {
  entry.ready = entry.ready && socket.in_kernel > 0;
  return entry.exists && entry.ready;
}
inline void add_to_loop(State& s, Socket& socket) {
  socket.loop = {true, socket.in_kernel > 0};
  socket.loop_first = !socket.thread.exists;
  if (socket.loop.ready) wake_loop(s);
}
inline void add_to_thread(State& s, Socket& socket) {
  socket.thread = {true, socket.in_kernel > 0};
  socket.loop_first = socket.loop.exists;
  if (socket.thread.ready) wake_thread(s);
}

}  // namespace ksocket::test::who_receives
