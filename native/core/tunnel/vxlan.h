// The header before a frame, as RFC 7348 has it.
#pragma once

#include <cstdint>
#include <span>

#include "core/tunnel/wire.h"

namespace ksocket {

inline constexpr uint32_t kVxlanBytes = 8;
inline constexpr uint32_t kVniMax = (1u << 24) - 1;

// What a device that has this VNI writes.
inline void write_vxlan(uint32_t vni, uint8_t* out) {
  store32(out, uint32_t{0x08} << 24);
  store32(out + 4, vni << 8);
}

enum class Vxlan : uint8_t { valid, malformed, other_vni };

// Reserved bits count for nothing (section 5).
inline Vxlan check_vxlan(std::span<const uint8_t> datagram, uint32_t vni) {
  if (datagram.size() < kVxlanBytes || (datagram[0] & 0x08) == 0) return Vxlan::malformed;
  return load32(datagram.data() + 4) >> 8 == vni ? Vxlan::valid : Vxlan::other_vni;
}

}  // namespace ksocket
