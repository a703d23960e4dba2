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

inline void resize_receive_buffer(int fd, uint8_t family, int bytes) {
  set_option(fd, family, SocketOption::receive_buffer_bytes, bytes);
}

class ReceiveBuffer {
 public:
  // One call's datagrams: `count` messages where `wanted` had room.
  struct Read {
    uint32_t count;
    uint32_t wanted;
    uint32_t bytes;
  };

  // From here on it is the program's.
  void leave() { size_ = Size::chosen; }

  void after_read(int fd, uint8_t family, const Read& read) {
    Size size = next(read);
    if (size == size_) return;
    size_ = size;
    run_bytes_ = 0;
    calm_reads_ = 0;
    resize_receive_buffer(fd, family, size == Size::cache ? kCacheBufferBytes : kBurstBufferBytes);
  }

 private:
  enum class Size : uint8_t { initial, burst, cache, chosen };

  // With fewer places a call that fills them says nothing of the rate.
  static constexpr uint32_t kPlacesMin = 8;
  // On average, of messages (super-datagrams count as one): from there on the bytes cost more than the call.
  static constexpr uint32_t kCostlyBytes = 4 * 1024;
  // More than a ring and a buffer hold: such a run without an end is no burst any more.
  static constexpr uint32_t kOverloadBytes = 32 << 20;
  // In a row, that found less than they could have taken. In overload one in some hundred does.
  static constexpr uint8_t kCalmReads = 64;

  Size next(const Read& read) {
    bool filled = read.count == read.wanted;
    switch (size_) {
      case Size::initial:
        return read.count >= kGrowAtMessages || (filled && read.count >= kPlacesMin) ? Size::burst : size_;
      case Size::burst:
        run_bytes_ = filled && read.bytes >= read.count * kCostlyBytes ? run_bytes_ + read.bytes : 0;
        return run_bytes_ > kOverloadBytes ? Size::cache : size_;
      case Size::cache:
        if (!filled) {
          calm_reads_++;
        } else if (read.count >= kPlacesMin) {
          calm_reads_ = 0;
        }
        return calm_reads_ == kCalmReads ? Size::burst : size_;
      case Size::chosen:
        break;
    }
    return size_;
  }

  Size size_ = Size::initial;
  uint8_t calm_reads_ = 0;
  uint32_t run_bytes_ = 0;  // of such messages, without a read that found less than it could have taken
};

}  // namespace ksocket
