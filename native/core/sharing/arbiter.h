// Who receives from the shared sockets: the event loop by itself, or the I/O thread. Pure: counts, times and
// what the other side did are handed in, the caller carries out what is decided (LoopSharing).
//
//   Owner                        too fast for single rounds              filled rounds, read at once,
//                                and patience is over                    or the ring full again and again
//            ┌──────┐ ─────────────────────────────────▶ ┌────────┐ ─────────────────────▶ ┌────────────────┐
//            │ loop │                                    │ thread │                        │ loop_saturated │
//            └──────┘ ◀───────────────────────────────── └────────┘                        └────────────────┘
//                ▲      slow enough, or waits are futile       ▲       too fast for what a round brings │ │
//                │                                             └─────────────────────────────────────── ┘ │
//                └──────────────────────── relaxed rounds, or none filled for a while ────────────────────┘
//
//   Large datagrams stay with the loop, or come back to it: filled rounds of them lead from loop to
//   loop_saturated.
//
//   Vigil, of the thread while the loop owns: what it does when the kernel tells it of a shared socket, that
//   is, when the loop was not asleep
//
//     asleep ──told──▶ grace ──the loop came──▶ dozing ──it comes less often──▶ asleep
//                       │  ▲ ──came, in saturation──▶ asleep          └─▶ dozing again while it keeps coming
//        it did not come│  │told, and it has come since (in saturation: or it has read)
//                       ▼  │
//                    standing_in: receives at once what it is told of
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <utility>

#include "core/datapath/rx_round.h"
#include "core/sharing/limits.h"

namespace ksocket {

enum class Owner : uint8_t { loop, loop_saturated, thread };
enum class Vigil : uint8_t { asleep, grace, dozing, standing_in };

class Arbiter {
 public:
  explicit Arbiter(const Limits& limits = kLimits)
      : limits_(&limits), grace_ns_(limits.grace_ns), patience_(limits.patience_datagrams_min) {}

  // ---- who owns the sockets. Guarded by LoopSharing's lock.

  Owner owner() const { return owner_; }
  bool loop_owns() const { return owner_ != Owner::thread; }
  // Until when the loop counts as saturated if it fills no further round; 0: it does not.
  uint64_t saturated_until_ns() const {
    return owner_ == Owner::loop_saturated ? filled_at_ns_ + limits_->saturated_ns : 0;
  }

  // The loop received; `gap_ns` is the mean time between two datagrams.
  void after_loop_round(const RxRound& round, uint64_t gap_ns, uint64_t now_ns) {
    uint32_t weight = limits_->mean_rounds;
    uint32_t datagrams = std::min(round.datagrams, limits_->mean_datagrams_max);
    if (round.short_queue) datagrams *= limits_->short_queue_weight;
    mean_ += datagrams * kMeanUnit / weight - mean_ / weight;
    relaxed_rounds_ = round.filled ? 0 : relaxed_rounds_ + 1;
    if (round.filled) filled_at_ns_ = now_ns;
    bool relaxed = relaxed_rounds_ >= limits_->relaxed_rounds || now_ns > saturated_until_ns();
    if (owner_ == Owner::loop_saturated && relaxed) owner_ = Owner::loop;
    eager_rounds_ = round.large && round.filled ? eager_rounds_ + 1 : 0;
    if (eager_rounds_ >= limits_->eager_rounds) owner_ = Owner::loop_saturated;
    bool efficient = mean_ >= limits_->efficient_datagrams * kMeanUnit;
    if (is_fast(round, gap_ns) && !efficient) owner_ = Owner::thread;
  }

  // The thread received in the loop's place, as the loop was busy.
  void after_stand_in(const RxRound& round, uint64_t gap_ns) {
    eager_rounds_ = 0;
    if (is_fast(round, gap_ns)) owner_ = Owner::thread;
  }

  // The thread received as the owner.
  struct ThreadRound : RxRound {
    bool waited = false;     // it had slept for a fuller batch
    bool futile = false;     // and that sleep gathered no second datagram
    bool caught_up = false;  // JavaScript has read the round before
  };
  void after_thread_round(const ThreadRound& round, uint64_t gap_ns, uint64_t now_ns) {
    if (round.futile) {
      patience_ = std::clamp(patience_ * limits_->patience_factor, limits_->patience_datagrams_futile,
                             limits_->patience_datagrams_max);
    } else if (round.datagrams > 1) {
      patience_ = limits_->patience_datagrams_min;
    }
    if (!round.filled) eager_rounds_ = full_rings_ = 0;
    if (round.filled && !round.waited && round.caught_up) eager_rounds_++;
    bool saturated = eager_rounds_ >= limits_->eager_rounds || full_rings_ >= limits_->full_rings;
    if (!round.futile && gap_ns <= limits_->return_gap_ns && !saturated && !round.large) return;
    since_return_ = eager_rounds_ = full_rings_ = 0;
    mean_ = limits_->efficient_datagrams * kMeanUnit * (saturated ? limits_->saturated_mean : 1);
    filled_at_ns_ = now_ns;
    owner_ = saturated ? Owner::loop_saturated : Owner::loop;
  }

  // JavaScript does not keep up.
  void on_full_ring() { full_rings_++; }

  // ---- the vigil. The I/O thread only, while the loop owns.

  Vigil vigil() const { return vigil_; }

  // The kernel told the thread of shared sockets, and of nothing else. How long the loop gets to receive by
  // itself; 0: the thread stands in. `came`: the loop has received since the latest grace began. `consumed`:
  // JavaScript's cursor; in saturation a loop that still reads gets another grace as well.
  uint64_t on_told(bool came, bool saturated, uint32_t consumed) {
    bool reads = saturated && std::exchange(consumed_, consumed) != consumed;
    if (vigil_ == Vigil::standing_in && !came && !reads) return 0;
    vigil_ = Vigil::grace;
    grace_ns_ = std::clamp(grace_ns_, limits_->grace_ns, limits_->grace_ns_max);
    return saturated ? limits_->grace_saturated_ns : grace_ns_;
  }
  void after_grace(bool came, bool saturated) {
    grace_ns_ = came ? grace_ns_ * 2 : 0;
    vigil_ = !came ? Vigil::standing_in : saturated ? Vigil::asleep : Vigil::dozing;
  }
  // While the loop comes all the time it would find us waiting with almost every datagram that arrives when
  // it is at work, and whoever sends, often the same JavaScript thread, would pay for our wake-up. So we
  // rather look from time to time whether it still does. `loop_rounds`: in the latest doze_ns.
  void after_doze(uint64_t loop_rounds) {
    vigil_ = loop_rounds >= limits_->doze_rounds ? Vigil::dozing : Vigil::asleep;
  }
  // Something came up that only the thread looks after.
  void end_doze() { vigil_ = Vigil::asleep; }

  // By all that decisions depend on: for the model that explores them.
  auto operator<=>(const Arbiter&) const = default;

 private:
  static constexpr uint32_t kMeanUnit = 16;

  // Large datagrams never come too fast for the loop: a wake-up costs less than to bring them from the
  // thread's core to the loop's, which copies them, or has received them into memory that the listener keeps.
  bool is_fast(const RxRound& round, uint64_t gap_ns) {
    since_return_ += round.datagrams;
    return gap_ns <= limits_->leave_gap_ns && since_return_ >= patience_ && !round.large;
  }

  const Limits* limits_;

  Owner owner_ = Owner::loop;
  uint64_t filled_at_ns_ = 0;    // when a round of the loop was last filled
  uint32_t relaxed_rounds_ = 0;  // of the loop in a row that left nothing in the kernel
  uint32_t mean_ = 0;            // datagrams a round of the loop, lately, times kMeanUnit
  uint32_t since_return_ = 0;    // datagrams since the loop got the sockets
  // Filled rounds in a row: of the thread, read as fast as they came, or of the loop, of large datagrams.
  uint32_t eager_rounds_ = 0;
  uint32_t full_rings_ = 0;  // since the kernel was last read empty

  Vigil vigil_ = Vigil::asleep;
  uint64_t grace_ns_;
  uint32_t consumed_ = 0;  // how far JavaScript had read when the thread was last told in saturation
  uint32_t patience_;      // datagrams that have to come before the thread takes over
};

}  // namespace ksocket
