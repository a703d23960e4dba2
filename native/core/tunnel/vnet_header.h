// What stands before each frame of a TAP device with IFF_VNET_HDR: is its checksum still to be made, and of
// how many frames was it joined? The virtio specification has it (5.1.6), numbers are in the machine's order.
#pragma once

#include <cstdint>

namespace ksocket {

struct VnetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t header_bytes = 0;     // a hint
  uint16_t gso_size = 0;         // payload of each frame but the last
  uint16_t checksum_start = 0;   // from where on it is made
  uint16_t checksum_offset = 0;  // where it goes, from there
};
static_assert(sizeof(VnetHeader) == 10);

inline constexpr uint8_t kNeedsChecksum = 1;
// The bit of ECN is beside the type: then the first frame alone has CWR.
enum GsoType : uint8_t { kGsoNone = 0, kGsoTcpV4 = 1, kGsoTcpV6 = 4, kGsoUdp = 5, kGsoEcn = 0x80 };

}  // namespace ksocket
