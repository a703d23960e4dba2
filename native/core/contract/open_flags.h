// What lib/ asks for when it opens a socket, in one number. What the kernel may refuse (1 << n), and the
// socket then does without, is also asked for with 1 << (n + kOpenOptionalShift).
#pragma once

#include <cstdint>

namespace ksocket {

#define KSOCKET_OPEN_FLAGS(X)         \
  X(kOpenReuseAddress, 1 << 0)        \
  X(kOpenReusePort, 1 << 1)           \
  X(kOpenIpv6Only, 1 << 2)            \
  X(kOpenGro, 1 << 3)                 \
  X(kOpenGso, 1 << 4)                 \
  X(kOpenDropWhenFull, 1 << 5)        \
  X(kOpenReceiveTtl, 1 << 6)          \
  X(kOpenReceiveTos, 1 << 7)          \
  X(kOpenReceiveLocal, 1 << 8)        \
  X(kOpenReceiveOriginal, 1 << 9)     \
  X(kOpenReceiveTimes, 1 << 10)       \
  X(kOpenReceiveErrors, 1 << 11)      \
  X(kOpenReceiveCredentials, 1 << 12) \
  X(kOpenReceiveRights, 1 << 13)      \
  X(kOpenOptionalShift, 16)

enum OpenFlags : uint32_t {
#define X(name, value) name = value,
  KSOCKET_OPEN_FLAGS(X)
#undef X
};

}  // namespace ksocket
