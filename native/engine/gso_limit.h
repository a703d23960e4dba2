// How many datagrams this kernel lets one message join.
#pragma once

#include <cstdint>

namespace ksocket {

// kGsoSegmentsMax, or kGsoSegmentsMin where it takes no more or cannot be asked; asked once a process. What
// is sent to find out goes from a socket to itself, over the loopback device.
uint32_t gso_segments_max();

}  // namespace ksocket
