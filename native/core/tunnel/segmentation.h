// A frame as the TAP device hands it over, into the frames that are sent: up to 64 KiB of TCP or UDP (TSO,
// USO) become as many as its MTU makes of them, and what the kernel left to a network card is made here:
// checksums, lengths, numbers. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/tunnel/frame.h"
#include "core/tunnel/vnet_header.h"

namespace ksocket {

class Segmentation {
 public:
  // None where the header says what the frame is not. The frame has to stay where it is; its checksum fields
  // may be written.
  static std::optional<Segmentation> of(const VnetHeader& header, std::span<uint8_t> frame);

  uint32_t count() const { return count_; }
  // Of each frame but the last, which may be shorter.
  uint32_t frame_bytes() const { return header_bytes_ + each_; }
  // All of them, each behind `prefix_bytes`.
  uint64_t bytes(uint32_t prefix_bytes) const {
    return uint64_t{count_} * (prefix_bytes + header_bytes_) + payload_bytes_;
  }
  // Writes them, each behind the prefix: bytes(prefix.size()) from `out` on.
  void write(std::span<const uint8_t> prefix, uint8_t* out) const;

 private:
  static bool make_checksum(const VnetHeader& header, std::span<uint8_t> frame);
  void write_headers(uint8_t* frame, uint32_t index, uint32_t payload_bytes, Sum payload) const;

  const uint8_t* frame_ = nullptr;
  FrameLayout layout_;
  bool joined_ = false;
  uint32_t header_bytes_ = 0;   // before the payload; of a frame that was not joined: 0
  uint32_t payload_bytes_ = 0;  // of all
  uint32_t each_ = 0;           // payload of each but the last
  uint32_t count_ = 0;
};

}  // namespace ksocket
