// IP_PKTINFO, IPV6_PKTINFO: where a datagram was sent to, and which interface it came in by. IP_ORIGDSTADDR,
// IPV6_ORIGDSTADDR: where it was sent before it was redirected here. Each reads its part of a PacketInfo.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/memory/layout.h"

namespace ksocket {

struct LocalIpv4 {
  static constexpr size_t kBytes = sizeof(in_pktinfo);

  static void read(const uint8_t* data, size_t bytes, PacketInfo* out) {
    if (bytes < sizeof(in_pktinfo)) return;
    in_pktinfo info;
    std::memcpy(&info, data, sizeof info);
    std::memset(out->local, 0, sizeof out->local);
    std::memcpy(out->local, &info.ipi_addr, 4);
    std::memset(out->answer_from, 0, sizeof out->answer_from);
    std::memcpy(out->answer_from, &info.ipi_spec_dst, 4);
    out->ifindex = static_cast<uint32_t>(info.ipi_ifindex);
    out->local_family = 4;
  }
};

struct LocalIpv6 {
  static constexpr size_t kBytes = sizeof(in6_pktinfo);

  static void read(const uint8_t* data, size_t bytes, PacketInfo* out) {
    if (bytes < sizeof(in6_pktinfo)) return;
    in6_pktinfo info;
    std::memcpy(&info, data, sizeof info);
    std::memcpy(out->local, &info.ipi6_addr, 16);
    std::memset(out->answer_from, 0, sizeof out->answer_from);
    if (!IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) std::memcpy(out->answer_from, &info.ipi6_addr, 16);
    out->ifindex = info.ipi6_ifindex;
    out->local_family = 6;
  }
};

struct OriginalIpv4 {
  static constexpr size_t kBytes = sizeof(sockaddr_in);

  static void read(const uint8_t* data, size_t bytes, PacketInfo* out) {
    if (bytes < sizeof(sockaddr_in)) return;
    sockaddr_in address;
    std::memcpy(&address, data, sizeof address);
    std::memset(out->original, 0, sizeof out->original);
    std::memcpy(out->original, &address.sin_addr, 4);
    out->original_port = ntohs(address.sin_port);
    out->original_family = 4;
  }
};

struct OriginalIpv6 {
  static constexpr size_t kBytes = sizeof(sockaddr_in6);

  static void read(const uint8_t* data, size_t bytes, PacketInfo* out) {
    if (bytes < sizeof(sockaddr_in6)) return;
    sockaddr_in6 address;
    std::memcpy(&address, data, sizeof address);
    std::memcpy(out->original, &address.sin6_addr, 16);
    out->original_port = ntohs(address.sin6_port);
    out->original_family = 6;
  }
};

// As an IPv6 socket writes IPv4 addresses (RFC 4291, 2.5.5.2).
inline void map_ipv4(uint8_t (&address)[16]) {
  std::memcpy(address + 12, address, 4);
  std::memset(address, 0, 10);
  std::memset(address + 10, 0xff, 2);
}
inline void map_ipv4(PacketInfo* info) {
  constexpr uint8_t kNone[4] = {};
  if (info->local_family == 4) {
    map_ipv4(info->local);
    if (std::memcmp(info->answer_from, kNone, 4) != 0) map_ipv4(info->answer_from);
    info->local_family = 6;
  }
  if (info->original_family == 4) {
    map_ipv4(info->original);
    info->original_family = 6;
  }
}

// Where an answer comes from; false: the kernel is to choose.
inline bool answer_source(const PacketInfo& asked, Source* out) {
  constexpr uint8_t kNone[16] = {};
  if (std::memcmp(asked.answer_from, kNone, sizeof kNone) == 0) return false;
  *out = {};
  std::memcpy(out->address, asked.answer_from, sizeof out->address);
  // An address of a link is one of several, RFC 4007.
  bool link_local = asked.local_family == 6 && out->address[0] == 0xfe && (out->address[1] & 0xc0) == 0x80;
  if (link_local) out->ifindex = asked.ifindex;
  return true;
}

}  // namespace ksocket
