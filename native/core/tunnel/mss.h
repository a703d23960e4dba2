// The largest segment that the ends of a TCP connection tell each other when it begins (RFC 9293, 3.7.1):
// made smaller where more would not fit the tunnel, as a router does that stands before a smaller path.
#pragma once

#include <cstdint>
#include <span>

namespace ksocket {

// Of a frame that begins a connection, written into it; others stay as they are. `mtu`: the device's.
void clamp_mss(std::span<uint8_t> frame, uint32_t mtu);

}  // namespace ksocket
