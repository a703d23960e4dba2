// SCM_CREDENTIALS, unix(7): who has sent a datagram. It takes the place of an address in a PacketInfo.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/memory/layout.h"

namespace ksocket {

struct Credentials {
  static constexpr size_t kBytes = sizeof(ucred);

  static void read(const uint8_t* data, size_t bytes, PacketInfo* out) {
    if (bytes < sizeof(ucred)) return;
    static_assert(sizeof(ucred) <= sizeof out->local && sizeof(ucred) == 3 * sizeof(uint32_t));
    std::memcpy(out->local, data, sizeof(ucred));
    out->local_family = kCredentials;
  }
};

}  // namespace ksocket
