// Interrupt moderation, as network cards do it: at a high rate the thread sleeps a little after each batch
// instead of being woken for every datagram, and the next batch is fuller. The words are ethtool's (rx-usecs,
// rx-frames, adaptive-rx).
#pragma once

#include <algorithm>
#include <cstdint>

namespace ksocket {

class Moderation {
 public:
  struct Options {
    uint32_t usecs_max = 0;  // the longest wait; 0: never wait
    uint32_t frames = 64;    // enough for a batch
    bool adaptive = true;    // wait only where it pays; else always
  };

  explicit Moderation(Options options) : options_(options) {}

  // After a round that received `frames` datagrams, at `now_us`: how long to sleep before the next.
  //
  // A request/response exchange looks like a steady rate, but its next datagram comes only after our answer:
  // a wait delays it and gathers nothing. So a wait that gathered no second datagram makes us skip the next
  // 1, 3, 7, … up to 1023 chances.
  uint32_t after(uint32_t frames, uint64_t now_us) {
    if (options_.usecs_max == 0 || frames == 0) return 0;
    if (!options_.adaptive) return options_.usecs_max;
    observe(frames, now_us);
    futile_ = false;
    if (waited_) {
      waited_ = false;
      futile_ = frames <= 1;
      backoff_ = frames > 1 ? 0 : std::min(backoff_ * 2 + 1, kBackoffMax);
      skip_ = backoff_;
    }
    if (frames >= options_.frames) return 0;  // full without our help
    if (skip_ > 0) {
      skip_--;
      return 0;
    }
    // A wait has to bring at least one more than would have come anyway.
    if (per_ms_ * options_.usecs_max < kWorthFrames * 1000) return 0;
    waited_ = true;
    return std::clamp(options_.frames * 1000u / std::max(per_ms_, 1u), 1u, options_.usecs_max);
  }

  // Did the latest after() ask for a wait?
  bool waited() const { return waited_; }
  // Did the wait before the latest round gather nothing?
  bool futile() const { return futile_; }
  // The rate of the last 32 datagrams or so, datagrams a millisecond.
  uint32_t per_ms() const { return per_ms_; }

  // For rounds that nobody would wait after.
  void observe(uint32_t frames, uint64_t now_us) {
    frames_ += frames;
    uint64_t elapsed = now_us - since_us_;
    if (frames_ < 32 && elapsed < 100'000) return;
    per_ms_ = static_cast<uint32_t>(uint64_t{frames_} * 1000 / std::max<uint64_t>(elapsed, 1));
    frames_ = 0;
    since_us_ = now_us;
  }

 private:
  static constexpr uint32_t kBackoffMax = 1023;
  static constexpr uint32_t kWorthFrames = 1;

  const Options options_;
  uint64_t since_us_ = 0;
  uint32_t frames_ = 0;
  uint32_t per_ms_ = 0;
  uint32_t backoff_ = 0;
  uint32_t skip_ = 0;
  bool futile_ = false;
  bool waited_ = false;
};

}  // namespace ksocket
