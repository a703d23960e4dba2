// When a socket gets a receive buffer for much traffic.
//
// The default holds some 270 small datagrams: less than 3 ms of 100 000 a second, which a busy machine can
// keep a thread waiting. The kernel caps the size at net.core.rmem_max (socket(7)).
#pragma once

#include <cstdint>

#include "core/socket/options.h"

namespace ksocket {

// So many in one call: they come faster than we look.
inline constexpr uint32_t kGrowAtMessages = 24;

inline void grow_receive_buffer(int fd, uint8_t family) {
  constexpr int kGrownBytes = 4 << 20;
  set_option(fd, family, SocketOption::receive_buffer_bytes, kGrownBytes);
}

}  // namespace ksocket
