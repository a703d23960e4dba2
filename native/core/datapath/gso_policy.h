// May datagrams of this size be joined on this socket? What the kernel refused is not tried again for a
// while.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>

namespace ksocket {

class GsoPolicy {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kRetryAfter = std::chrono::seconds(10);

  bool enabled = false;

  // Called once a flush: forgets old refusals.
  void refresh() {
    if (limited_ && Clock::now() >= retry_at_) {
      limited_ = false;
      segment_bytes_max_ = UINT16_MAX;
    }
  }
  bool allows(uint32_t segment_bytes) const { return enabled && segment_bytes <= segment_bytes_max_; }

  // EINVAL and EMSGSIZE are about this size (the path MTU), anything else about the device.
  void refused(uint32_t segment_bytes, int error) {
    bool about_size = error == EINVAL || error == EMSGSIZE;
    segment_bytes_max_ = about_size && segment_bytes > 0 ? segment_bytes - 1 : 0;
    limited_ = true;
    retry_at_ = Clock::now() + kRetryAfter;
  }

 private:
  bool limited_ = false;
  uint32_t segment_bytes_max_ = UINT16_MAX;
  Clock::time_point retry_at_{};
};

}  // namespace ksocket
