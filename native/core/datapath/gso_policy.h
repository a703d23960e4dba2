// May datagrams of this size be joined on their way to this host? What left alone and not joined is not
// joined again for a while.
//
// A refusal is about the way to one host: the path's MTU, its device, an IPsec policy, a firewall's rule. It
// says nothing of the others, whom one client must not slow down. Only where a size is refused for as many
// hosts as are remembered, and nothing of that size has left joined meanwhile, it is the socket's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/udp_limits.h"
#include "core/socket/address.h"

namespace ksocket {

class GsoPolicy {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kRetryAfter = std::chrono::seconds(10);
  // Hosts that are remembered. A destination that is looked for is compared with each.
  static constexpr size_t kHostsMax = 8;

  bool enabled = false;

  // Called once a flush: forgets old refusals. `segments_max`: what the kernel says it joins.
  void refresh(uint32_t segments_max = kGsoSegmentsMin) {
    segments_max_ = count_refused_ ? kGsoSegmentsMin : segments_max;
    if (hosts_ > 0 || limited_) forget(Clock::now());
  }
  // How many datagrams one message may join.
  uint32_t segments_max() const { return segments_max_; }
  bool allows(const Address& to, uint32_t segment_bytes) const {
    if (!enabled || segment_bytes > segment_bytes_max_) return false;
    return hosts_ == 0 || segment_bytes <= limit_of(to);
  }

  // Datagrams of this size left joined.
  void left(uint32_t segment_bytes) {
    if (segment_bytes > largest_joined_) largest_joined_ = segment_bytes;
  }
  // `error` refused so many of them joined, and alone one of them left. EINVAL of more than each kernel joins
  // is about their number, and remembered for good; EINVAL and EMSGSIZE are about this size (the path MTU),
  // anything else about joining as such.
  void refused(const Address& to, uint32_t segment_bytes, int error, uint32_t segments);

 private:
  // A host, whatever the port.
  struct Limit {
    Address host;
    uint32_t segment_bytes_max;
    Clock::time_point until;
  };

  uint32_t limit_of(const Address& to) const;
  void forget(Clock::time_point now);

  // Room for kHostsMax once there is one: the first hosts_ of them, the oldest first. Most sockets have none.
  std::unique_ptr<Limit[]> limits_;
  size_t hosts_ = 0;
  uint32_t largest_joined_ = 0;  // since the first of them
  bool limited_ = false;         // every host, until then
  uint32_t segment_bytes_max_ = UINT16_MAX;
  uint32_t segments_max_ = kGsoSegmentsMin;
  bool count_refused_ = false;
  Clock::time_point until_{};
};

}  // namespace ksocket
