// Ancillary data: what the kernel says beside a datagram, and what we say beside one to send. See cmsg(3),
// udp(7).
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <ctime>

namespace ksocket {

// Enough for everything below at once; a short buffer would lose GRO's segment size and with it the
// boundaries.
inline constexpr size_t kControlBytes = 256;
static_assert(kControlBytes >=
              CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(timespec)));

struct RxControl {
  uint16_t segment_size = 0;  // UDP_GRO; 0: not joined
  bool has_kernel_drops = false;
  uint32_t kernel_drops = 0;  // SO_RXQ_OVFL: total since the socket was made, modulo 2^32
  uint64_t received_ns = 0;   // SO_TIMESTAMPNS: CLOCK_REALTIME; 0: not asked for
};
RxControl decode_control(const msghdr& header);

// Adds UDP_SEGMENT to `header`, whose msg_control has room for kTxControlBytes.
inline constexpr size_t kTxControlBytes = CMSG_SPACE(sizeof(uint16_t));
void encode_segment_size(msghdr* header, uint16_t segment_size);

}  // namespace ksocket
