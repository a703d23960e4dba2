// How long a UDP datagram can be, and how many of them the kernel joins.
#pragma once

#include <cstdint>

namespace ksocket {

// Both headers count the length in 16 bits: IPv4's total length is with its own 20 bytes, IPv6's payload
// length without (RFC 791, RFC 8200). Either includes the 8 of UDP (RFC 768).
inline constexpr uint32_t kPayloadBytesMaxV4 = 65535 - 20 - 8;
inline constexpr uint32_t kPayloadBytesMaxV6 = 65535 - 8;
static_assert(kPayloadBytesMaxV4 == 65507 && kPayloadBytesMaxV6 == 65527);

// What an answer may have, whoever it goes to.
inline constexpr uint32_t kReplyBytesMax = kPayloadBytesMaxV4;

// A receive call brings no more for one message, whether GRO joined it or not: skb_gro_receive keeps UDP,
// with all headers, below 65536 (GRO_LEGACY_MAX_SIZE).
inline constexpr uint32_t kDatagramBytesMax = 65535;
static_assert(kDatagramBytesMax >= kPayloadBytesMaxV6);

// What is joined on the way out: with the longer header, the 40 bytes of IPv6, still a packet of 65535. One
// limit serves both families.
inline constexpr uint32_t kJoinedBytesMax = 65535 - 40 - 8;

// The datagrams of a received message. The kernel joins 64 (UDP_GRO_CNT_MAX), but what a program of the same
// machine sent joined arrives as it was sent, and newer kernels let it join 128 (UDP_MAX_SEGMENTS).
inline constexpr uint32_t kGroSegmentsMax = 128;

// What one message may join on the way out, UDP_MAX_SEGMENTS: each kernel that has UDP_SEGMENT takes the
// first, kernels since 6.9 the second (engine/gso_limit.h asks).
inline constexpr uint32_t kGsoSegmentsMin = 64;
inline constexpr uint32_t kGsoSegmentsMax = 128;
static_assert(kGsoSegmentsMax <= kGroSegmentsMax);

}  // namespace ksocket
