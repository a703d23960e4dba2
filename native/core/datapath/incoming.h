// What a receive call brought, between the kernel's buffers and the ring.
#pragma once

#include <cstdint>

#include "core/control/control.h"
#include "core/socket/address.h"

namespace ksocket {

// A received datagram (or super-datagram) that still lies in the receive buffers.
struct Incoming {
  uint32_t offset;  // of the payload, from the batch's base
  uint32_t length;
  uint16_t segment_size;  // 0: a single datagram
  Address from;
  Metadata metadata = {};
  const PacketInfo* packet_info = nullptr;  // of sockets that ask for it

  // Some of it; what was said of the whole holds for each of its datagrams.
  Incoming part(uint32_t part_offset, uint32_t part_length, uint16_t part_segment_size) const {
    return {part_offset, part_length, part_segment_size, from, metadata, packet_info};
  }
};

// Calls `each(offset, length)` for every datagram of `incoming`.
template <typename Each>
void for_each_datagram(const Incoming& incoming, Each&& each) {
  uint32_t step = incoming.segment_size != 0 ? incoming.segment_size : incoming.length;
  uint32_t at = 0;
  do {
    uint32_t length = incoming.length - at < step ? incoming.length - at : step;
    each(incoming.offset + at, length);
    at += length;
  } while (at < incoming.length);
}

}  // namespace ksocket
