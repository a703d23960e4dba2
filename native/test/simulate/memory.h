// How much memory is in use, by operator new.
#pragma once

#include <cstdint>

namespace ksocket::simulate {

uint64_t live_bytes();

// Of one scenario: the receive buffers are 4.5 MB, a backlog has at most what was given to send.
inline constexpr uint64_t kLiveBytesMax = 64 << 20;

}  // namespace ksocket::simulate
