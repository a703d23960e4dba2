// Frames on their way into the TAP device: those of a TCP connection that follow each other are joined, so
// that the machine's network stack is passed once for up to 64 KiB (what GRO does for a network card's
// frames). What is written says all that the frames said: split again, they would be the same.
//
// The order in which a connection's frames came is that in which they are written. Frames are not copied:
// they have to stay where they are until they are taken.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/tunnel/frame.h"
#include "core/tunnel/vnet_header.h"

namespace ksocket {

// Is the checksum still to be made? Of a machine whose kernel has put the frame into a datagram itself (its
// vxlan device) and from which it came through no network card, but between two namespaces (veth): then it
// may even be one of up to 64 KiB that was left to be divided.
bool is_unfinished(std::span<const uint8_t> frame, const FrameLayout& layout);

// How long the frame is that it is written as; 0: of TCP that was left to be divided, as long as is allowed.
size_t divided_bytes(std::span<const uint8_t> frame, uint32_t mtu, uint32_t bytes_max);

class Joiner {
 public:
  // Then they have to be taken.
  static constexpr uint32_t kWritesMax = 512;

  // What is to be written in one call, header and all; valid until the next add().
  struct Write {
    std::span<const iovec> pieces;
    uint32_t frames;
    uint64_t bytes;  // of these
  };

  // `mtu`: the device's. `udp_bytes`: of an unfinished frame of several UDP datagrams, the payload of each
  // but the last.
  void add(std::span<const uint8_t> frame, uint32_t mtu, uint16_t udp_bytes = 0);
  bool full() const { return used_ == kWritesMax; }

  // Calls `each(Write)` for all of them, in order; they are gone afterwards.
  template <typename Each>
  void take(Each&& each) {
    for (uint32_t i = 0; i < used_; i++) each(finish(items_[i]));
    used_ = 0;
    generation_++;
  }

 private:
  // Of a call, IOV_MAX is 1024.
  static constexpr uint32_t kPiecesMax = 512;
  static constexpr uint32_t kPlaces = 256;

  struct Item {
    VnetHeader header;
    FrameLayout layout;
    std::span<const uint8_t> first;
    std::vector<iovec> pieces;  // header, first frame; or header, headers, payload of each frame
    std::array<uint8_t, kJoinedHeaderBytesMax> headers;
    uint32_t header_bytes;
    uint32_t frames;
    uint64_t bytes;
    uint32_t payload_bytes;
    uint32_t each;  // payload of the first frame
    uint8_t flags;  // of the last frame
    bool open;      // takes more
    bool verified;  // the first frame's checksum is right
  };
  // The latest item of the connections that come to this place.
  struct Place {
    uint64_t generation = 0;
    uint32_t item = 0;
  };

  static void leave_to_kernel(Item& item, uint32_t mtu, uint16_t udp_bytes);
  Item& new_item(std::span<const uint8_t> frame, const FrameLayout& layout);
  Item* item_at(const Place& place) {
    return place.generation == generation_ ? &items_[place.item] : nullptr;
  }
  static bool may_join(std::span<const uint8_t> frame, const FrameLayout& layout);
  static bool follows(const Item& item, std::span<const uint8_t> frame, const FrameLayout& layout,
                      uint32_t header_bytes);
  static void join(Item& item, std::span<const uint8_t> frame, uint32_t header_bytes);
  Write finish(Item& item);

  std::vector<Item> items_;  // they keep their memory
  uint32_t used_ = 0;
  uint64_t generation_ = 1;
  std::array<Place, kPlaces> places_{};
};

}  // namespace ksocket
