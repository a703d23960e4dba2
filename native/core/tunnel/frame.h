// Where the headers of an Ethernet frame lie. What has come from outside is taken for nothing that it does
// not say, to its last byte.
#pragma once

#include <cstdint>
#include <span>

#include "core/tunnel/checksum.h"
#include "core/tunnel/wire.h"

namespace ksocket {

inline constexpr uint32_t kEthernetBytes = 14;
inline constexpr uint32_t kVlanTagBytes = 4;
// With both tags of 802.1ad, and 60 bytes of IPv4 or 40 of IPv6, and 60 of TCP.
inline constexpr uint32_t kJoinedHeaderBytesMax = kEthernetBytes + 2 * kVlanTagBytes + 60 + 60;

enum IpProtocol : uint8_t { kTcp = 6, kUdp = 17 };

struct FrameLayout {
  uint8_t version = 0;     // 4 or 6; 0: it is no IP packet, or a broken one, and nothing below counts
  uint8_t protocol = 0;    // of the transport
  bool fragment = false;   // one of several: then there is no transport
  bool plain = false;      // no IPv4 options, no IPv6 extension headers
  uint16_t ip = 0;         // where these begin
  uint16_t transport = 0;  // 0: there is no TCP or UDP header, whole
  uint32_t end = 0;        // of the packet; the frame may go on, to have Ethernet's least length
};

FrameLayout layout_of(std::span<const uint8_t> frame);

// Of TCP's or UDP's checksum: what is beside the segment of `bytes`.
Sum pseudo_header_sum(const uint8_t* frame, const FrameLayout& layout, uint32_t bytes);

// Header fields, from where the header begins.
namespace ipv4 {
inline constexpr uint32_t kLength = 2, kId = 4, kFragment = 6, kChecksum = 10, kSource = 12, kBytes = 20;
inline constexpr uint16_t kDontFragment = 0x4000, kMoreFragments = 0x2000, kOffset = 0x1fff;
}  // namespace ipv4
namespace ipv6 {
inline constexpr uint32_t kLength = 4, kNext = 6, kSource = 8, kBytes = 40;
}  // namespace ipv6
namespace tcp {
inline constexpr uint32_t kSequence = 4, kAcknowledged = 8, kDataOffset = 12, kFlags = 13, kWindow = 14,
                          kChecksum = 16, kUrgent = 18, kBytes = 20;
enum Flags : uint8_t { kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32, kEce = 64, kCwr = 128 };
}  // namespace tcp
namespace udp {
inline constexpr uint32_t kLength = 4, kChecksum = 6, kBytes = 8;
}  // namespace udp

// Of TCP at `header`; less than 20 is a broken one.
inline uint32_t tcp_header_bytes(const uint8_t* header) {
  return (header[tcp::kDataOffset] >> 4) * 4u;
}

}  // namespace ksocket
