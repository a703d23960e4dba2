// Interrupt moderation, as network cards do it: at a high rate the thread sleeps a little after each batch
// instead of being woken for every datagram, and the next batch is fuller. The words are ethtool's (rx-usecs,
// rx-frames, adaptive-rx).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "core/datapath/rx_round.h"
#include "core/sharing/limits.h"

namespace ksocket {

class Moderation {
 public:
  struct Options {
    uint32_t usecs_max = 0;                      // the longest wait; 0: never wait
    uint32_t frames = 64;                        // enough for a batch
    bool adaptive = true;                        // wait only where it pays; else unless a round was filled
    uint32_t gather = kLimits.gather_datagrams;  // so many have to come in the longest wait
  };

  explicit Moderation(Options options) : options_(options) {}

  bool enabled() const { return options_.usecs_max > 0; }

  // After a round: how long to sleep before the next. Not at all after one that the kernel filled, however
  // few datagrams that are: more wait there already, and of large ones its buffer does not hold many. Nor
  // where its queue is so short that a wait keeps the senders waiting.
  //
  // A request/response exchange looks like a steady rate, but its next datagram comes only after our answer:
  // a wait delays it and gathers nothing, or, where several are under way at once, no more than those: less
  // than half of what comes in that time when nobody waits. Such a wait makes us skip the next 1, 3, 7, …
  // chances.
  uint64_t after(const RxRound& round, uint64_t now_ns) {
    uint32_t datagrams = round.datagrams;
    observe(round, now_ns);
    uint64_t waited_ns = std::exchange(waited_ns_, 0);
    if (!enabled() || datagrams == 0) return 0;
    bool is_full = round.filled || round.short_queue;
    if (!options_.adaptive) return is_full ? 0 : wait_ns_max();
    futile_ = false;
    if (std::exchange(waited_, false)) {
      futile_ = datagrams <= 1 || 2 * datagrams * free_gap_ns_ < waited_ns;
      backoff_ = futile_ ? std::min(backoff_ * 2 + 1, kLimits.skipped_chances_max) : 0;
      skip_ = backoff_;
    }
    if (is_full || datagrams >= options_.frames) return 0;  // full without our help
    if (skip_ > 0) {
      skip_--;
      return 0;
    }
    if (gap_ns_ > wait_ns_max() / options_.gather) return 0;
    waited_ = true;
    uint64_t most_ns = std::max(wait_ns_max() / (round.large ? kLimits.large_wait_part : 1), kWaitNsMin);
    return waited_ns_ = std::clamp(options_.frames * gap_ns_, kWaitNsMin, most_ns);
  }

  // Did the latest after() ask for a wait?
  bool waited() const { return waited_; }
  // Did the wait before the latest round gather nothing that would not have come anyway?
  bool futile() const { return futile_; }
  // The mean time between two datagrams, lately.
  uint64_t gap_ns() const { return gap_ns_; }

  // For rounds that nobody would wait after.
  void observe(const RxRound& round, uint64_t now_ns) {
    uint32_t datagrams = round.datagrams;
    uint64_t since_round_ns = now_ns - std::exchange(round_at_ns_, now_ns);
    bool behind_filled = std::exchange(filled_, round.filled);
    if (waited_ns_ == 0 && datagrams > 0 && !behind_filled) observe_free(datagrams, since_round_ns);
    datagrams_ += datagrams;
    uint64_t elapsed_ns = now_ns - since_ns_;
    if (datagrams_ < kLimits.rate_datagrams && elapsed_ns < kLimits.rate_ns) return;
    // What waits behind a filled round came while the reader was kept from it: one figure for all of it.
    if (round.filled && !behind_filled) filled_from_ns_ = now_ns;
    if (round.filled && now_ns - filled_from_ns_ < kLimits.rate_ns) return;
    gap_ns_ = elapsed_ns / std::max(datagrams_, 1u);
    filled_from_ns_ = now_ns;
    datagrams_ = 0;
    since_ns_ = now_ns;
  }

 private:
  static constexpr uint64_t kWaitNsMin = 1000;  // rxUsecs counts microseconds

  // Between two rounds without a wait. Not behind one that the kernel filled: what is read then came before
  // it, while the reader was kept from it, and not as fast as it is read.
  void observe_free(uint32_t datagrams, uint64_t elapsed_ns) {
    free_datagrams_ += datagrams;
    free_ns_ += elapsed_ns;
    if (free_datagrams_ < kLimits.rate_datagrams) return;
    free_gap_ns_ = free_ns_ / free_datagrams_;
    free_datagrams_ = 0;
    free_ns_ = 0;
  }

  uint64_t wait_ns_max() const { return uint64_t{options_.usecs_max} * 1000; }

  const Options options_;
  uint64_t since_ns_ = 0;
  uint32_t datagrams_ = 0;
  uint64_t gap_ns_ = std::numeric_limits<uint64_t>::max() / 1024;  // nothing has come yet
  uint64_t round_at_ns_ = 0;
  uint64_t waited_ns_ = 0;  // before the next round
  // The mean time between two datagrams where nobody waited.
  uint64_t free_gap_ns_ = std::numeric_limits<uint64_t>::max() / (1 << 20);
  uint64_t free_ns_ = 0;
  uint32_t free_datagrams_ = 0;
  uint32_t backoff_ = 0;
  uint32_t skip_ = 0;
  bool futile_ = false;
  bool waited_ = false;
  bool filled_ = false;  // the latest round
  uint64_t filled_from_ns_ = 0;
};

}  // namespace ksocket
