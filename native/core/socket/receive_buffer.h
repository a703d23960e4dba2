// How large a socket's receive buffer is, unless the program has said so.
//
// The default holds some 270 small datagrams: less than 3 ms of 100 000 a second, which a busy machine can
// keep a thread waiting. So it grows once there is much traffic, for bursts. But where more comes than is
// ever read it is always full, and what is read next was written so many bytes ago that it has left the
// caches: then it is better small. Of small datagrams the bytes matter less than what each costs, and they
// keep it. The kernel caps the size at net.core.rmem_max, and doubles it for its own overhead (socket(7)).
#pragma once

#include <cstdint>

#include "core/socket/options.h"

namespace ksocket {

// So many in one call: they come faster than we look.
inline constexpr uint32_t kGrowAtMessages = 24;

inline constexpr int kBurstBufferBytes = 4 << 20;
// Doubled, half of what a core's second cache has.
inline constexpr int kCacheBufferBytes = 512 << 10;

// The kernel remembers of a socket whether somebody has set the size (SO_BUF_LOCK), whoever has a descriptor
// of it: another process that has handed it over, systemd, another worker. This does not count as that.
void resize_receive_buffer(int fd, uint8_t family, int bytes);

class ReceiveBuffer {
 public:
  // One call's datagrams: `count` messages where `wanted` had room; `drops`: how many the kernel has dropped
  // so far, as far as it has said so, with those of a filter, which it counts along.
  struct Read {
    uint32_t count;
    uint32_t wanted;
    uint32_t bytes;
    uint64_t drops;
  };

  // From here on it is the program's.
  void leave() { size_ = Size::chosen; }
  // Ahead of a time in which nobody reads: for some hundredths of a second. `largest`: net.core.rmem_max,
  // which does not limit who is root; 0: it is not known.
  void grow(int fd, uint8_t family, int largest);

  void after_read(int fd, uint8_t family, const Read& read) {
    Size size = next(read);
    if (size == size_ || is_chosen(fd)) return;
    size_ = size;
    begin_run(read);
    calm_reads_ = 0;
    resize_receive_buffer(fd, family, size == Size::cache ? kCacheBufferBytes : kBurstBufferBytes);
  }

 private:
  enum class Size : uint8_t { initial, burst, cache, chosen };

  // Half of what the default has room for, beside its overhead.
  static constexpr uint32_t kGrowAtBytes = 96 * 1024;
  // On average, of messages (super-datagrams count as one): from there on the bytes cost more than the call.
  static constexpr uint32_t kCostlyBytes = 4 * 1024;
  // More than a ring and a buffer hold: if such a run without an end loses something it is no burst any more.
  static constexpr uint16_t kOverloadKib = 32 * 1024;
  // In a row, without a loss: the overload has passed.
  static constexpr uint8_t kCalmReads = 64;

  bool is_chosen(int fd);
  Size next(const Read& read) {
    bool lost = static_cast<uint32_t>(read.drops) != drops_;
    switch (size_) {
      case Size::initial:
        return read.count >= kGrowAtMessages || read.bytes >= kGrowAtBytes || lost ? Size::burst : size_;
      case Size::burst:
        if (read.count < read.wanted || read.bytes < read.count * kCostlyBytes) {
          begin_run(read);
          return size_;
        }
        run_kib_ += static_cast<uint16_t>(read.bytes / 1024);
        if (run_kib_ <= kOverloadKib) return size_;
        begin_run(read);  // bursts may be just as large as reads are: those lose nothing
        return lost ? Size::cache : size_;
      case Size::cache:
        calm_reads_ = lost ? 0 : calm_reads_ + 1;
        drops_ = static_cast<uint32_t>(read.drops);
        return calm_reads_ == kCalmReads ? Size::burst : size_;
      case Size::chosen:
        break;
    }
    return size_;
  }
  void begin_run(const Read& read) {
    run_kib_ = 0;
    drops_ = static_cast<uint32_t>(read.drops);
  }

  Size size_ = Size::initial;
  uint8_t calm_reads_ = 0;
  uint16_t run_kib_ = 0;  // of such messages, without a read that found less than it could have taken
  uint32_t drops_ = 0;    // when the run began, or at the latest read
};

}  // namespace ksocket
