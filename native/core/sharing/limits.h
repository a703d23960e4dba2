// The numbers that decide who receives, and how long anybody waits for it. Times are nanoseconds, rates are
// the mean time between two datagrams, also in nanoseconds. docs/design.md uses the names and repeats no
// value.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ksocket {

struct Limits {
  // ---- the rate

  // Measured over so many datagrams: enough to tell a rate from a burst, and at 100 000 a second there is a
  // new figure every 320 us.
  uint32_t rate_datagrams = 32;
  // … or over so long, where fewer come.
  uint64_t rate_ns = 100'000'000;

  // ---- moderation

  // A wait has to gather at least so many datagrams that would not have come anyway.
  uint32_t gather_datagrams = 1;
  // Of large datagrams the kernel's buffer holds ten or so: then only that part of the longest wait.
  uint32_t large_wait_part = 2;
  // Chances that are skipped after futile waits, at most: a ping-pong of 20 000 a second tries 20 times a
  // second, which costs it 0.2 % of its time.
  uint32_t skipped_chances_max = 1023;

  // ---- forwarding

  // The longest wait for a fuller batch, in microseconds …
  uint32_t forward_wait_us = 500;
  // … which has to gather so many datagrams: below 16 000 a second they would wait long for little.
  uint32_t gather_forwarded = 8;
  // Rounds in a row of nothing but what was forwarded before the thread waits, and so long after the latest
  // answer, the thread's or a back end's: nobody who asks waits more than once in that time.
  uint32_t forward_rounds = 64;
  uint64_t forward_one_way_ns = 250'000'000;
  // The other side may have answered by then, though it had to be woken.
  uint64_t forward_look_ns = 50'000;
  // What follows a tunnel's frame is nearer.
  uint64_t frame_look_ns = 20'000;
  // What is found saves about as much: to fall asleep and to be woken, on a virtual machine, whose processors
  // take their time to begin anew.
  uint64_t look_worth_ns = 40'000;

  // ---- the loop owns the sockets, and could lose them

  // A shorter gap than this: a wait of 200 us (rxUsecs) gathers eight datagrams and more, which pays for the
  // hop to the thread and back.
  uint64_t leave_gap_ns = 25'000;
  // A longer gap than this: it does not. Apart from the former, so that a rate between the two moves nothing.
  uint64_t return_gap_ns = 40'000;
  // A round of the loop (a wake-up, two system calls) costs as much as some datagrams: with so many each it
  // is as efficient as the thread.
  uint32_t efficient_datagrams = 16;
  // A datagram of a queue that holds ten or so counts for so many: a round cannot bring a batch of them.
  uint32_t short_queue_weight = 8;
  // The weight of the latest round in the mean: 1/8, so that it follows a change within some ten rounds.
  uint32_t mean_rounds = 8;
  // A single round counts for at most so many datagrams in the mean: one burst decides nothing.
  uint32_t mean_datagrams_max = 1024;
  // Datagrams that have to come before the thread takes over: two batches, as a hand-over costs four system
  // calls a socket.
  uint32_t patience_datagrams_min = 64;
  // … after a visit of the thread that gathered nothing, and four times as many after each further one …
  uint32_t patience_datagrams_futile = 1024;
  uint32_t patience_factor = 4;
  // … at most. A ping-pong of 20 000 a second is then disturbed every three seconds.
  uint32_t patience_datagrams_max = 65'536;

  // ---- saturation

  // Rounds of the thread in a row that the kernel filled and JavaScript has read before the next: enough to
  // tell a flood from the backlog of a blocked loop.
  uint32_t eager_rounds = 8;
  // Full rings since the kernel was last read empty. One is a burst; in the second a listener may be slow.
  uint32_t full_rings = 4;
  // The loop's mean at the beginning of saturation, in efficient rounds, so that it is not left at once.
  uint32_t saturated_mean = 4;
  // Rounds of the loop in a row that left nothing in the kernel: no saturation any more.
  uint32_t relaxed_rounds = 8;
  // Nor so long after the last one that did: the flood has ended, and its last rounds were few.
  uint64_t saturated_ns = 50'000'000;

  // ---- the vigil: the loop owns the sockets, is awake, and the kernel tells the thread

  // At 100 000 datagrams a second this is 25 of them, a tenth of what a socket's default buffer holds.
  uint64_t grace_ns = 250'000;
  // Each time the loop does come it gets twice as long, up to this: our own wake-up costs as much as a
  // datagram or two.
  uint64_t grace_ns_max = 1'000'000;
  // In saturation datagrams are lost whatever we do, and the loop may have to wait for a processor itself: a
  // time slice of the kernel's scheduler.
  uint64_t grace_saturated_ns = 4'000'000;
  // How often the thread looks whether a busy loop still comes …
  uint64_t doze_ns = 1'000'000;
  // … which is at least so many rounds in that time: 8 000 wake-ups a second that nobody needs.
  uint64_t doze_rounds = 8;

  // ---- the thread owns the sockets

  // A loop that was woken reads by then, if a processor is free.
  uint64_t loop_late_ns = 50'000;

  // ---- little traffic

  // Nothing for so long is a rest: what comes behind it mostly comes alone, and JavaScript may not be
  // compiled yet. A turn of the event loop in which several sockets are readable has shorter pauses, a
  // ping-pong, too.
  uint64_t rest_ns = 100'000;
  // Rounds of a socket in a row that brought one datagram each: the next will.
  uint32_t lone_rounds = 8;

  // ---- sockets

  // Shared ones of a thread. A place costs a descriptor for as long as the thread lives, and a hand-over four
  // system calls.
  size_t places_max = 64;
  // The loop looks once more at so many before it sleeps: a request's socket, its answer's, and a few.
  size_t recent_places = 4;
  // … and if it has sent something, for so long. To fall asleep and to be woken takes longer.
  uint64_t answer_ns = 15'000;
  // So often in a row, as libuv reads from a socket.
  uint32_t looks_in_a_row = 32;
  // So much of the process's descriptors (RLIMIT_NOFILE) may be places: 1/16.
  size_t places_share = 16;
  // The thread does not watch a socket before it is so old. A query to a server nearby is answered within
  // that, and at 100 000 datagrams a second a default receive buffer is not full yet.
  uint64_t fresh_ns = 2'000'000;
};

inline constexpr Limits kLimits;

// A loop that looks for datagrams without sleeping is never too slow for them.
constexpr Limits busy_loop_limits() {
  Limits limits;
  limits.patience_datagrams_min = limits.patience_datagrams_max = UINT32_MAX;
  return limits;
}
inline constexpr Limits kBusyLoopLimits = busy_loop_limits();

}  // namespace ksocket
