#include "core/tunnel/frame.h"

namespace ksocket {

namespace {

enum EtherType : uint16_t { kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8 };
enum ExtensionHeader : uint8_t { kHopByHop = 0, kRouting = 43, kFragment = 44, kDestination = 60 };

// More is no packet that anybody sends.
constexpr int kTagsMax = 2, kExtensionsMax = 8;

// What stands behind the IP header at `at`, if it is whole.
void find_transport(std::span<const uint8_t> frame, uint32_t at, FrameLayout* out) {
  if (out->fragment || at > UINT16_MAX) return;
  uint32_t least = out->protocol == kTcp ? tcp::kBytes : out->protocol == kUdp ? udp::kBytes : 0;
  if (least == 0 || at + least > out->end) return;
  if (out->protocol == kTcp) {
    uint32_t bytes = tcp_header_bytes(frame.data() + at);
    if (bytes < tcp::kBytes || at + bytes > out->end) return;
  }
  out->transport = static_cast<uint16_t>(at);
}

void read_ipv4(std::span<const uint8_t> frame, uint32_t ip, FrameLayout* out) {
  if (frame.size() < ip + ipv4::kBytes) return;
  const uint8_t* header = frame.data() + ip;
  uint32_t header_bytes = (header[0] & 15u) * 4, bytes = load16(header + ipv4::kLength);
  if (header[0] >> 4 != 4 || header_bytes < ipv4::kBytes || bytes < header_bytes) return;
  if (ip + bytes > frame.size()) return;
  out->version = 4;
  out->ip = static_cast<uint16_t>(ip);
  out->end = ip + bytes;
  out->plain = header_bytes == ipv4::kBytes;
  out->protocol = header[9];
  out->fragment = (load16(header + ipv4::kFragment) & (ipv4::kMoreFragments | ipv4::kOffset)) != 0;
  find_transport(frame, ip + header_bytes, out);
}

void read_ipv6(std::span<const uint8_t> frame, uint32_t ip, FrameLayout* out) {
  if (frame.size() < ip + ipv6::kBytes) return;
  const uint8_t* header = frame.data() + ip;
  uint32_t end = ip + ipv6::kBytes + load16(header + ipv6::kLength);
  if (header[0] >> 4 != 6 || end > frame.size()) return;
  uint8_t next = header[ipv6::kNext];
  uint32_t at = ip + ipv6::kBytes;
  int extensions = 0;
  while (next == kHopByHop || next == kRouting || next == kDestination || next == kFragment) {
    if (at + 8 > end || ++extensions > kExtensionsMax) return;
    if (next == kFragment) out->fragment = true;
    uint32_t bytes = next == kFragment ? 8 : 8 + frame[at + 1] * 8u;
    next = frame[at];
    at += bytes;
    if (at > end) return;
    if (out->fragment) break;
  }
  out->version = 6;
  out->ip = static_cast<uint16_t>(ip);
  out->end = end;
  out->plain = extensions == 0;
  out->protocol = next;
  find_transport(frame, at, out);
}

}  // namespace

FrameLayout layout_of(std::span<const uint8_t> frame) {
  FrameLayout out;
  uint32_t at = kEthernetBytes;
  if (frame.size() < at) return out;
  uint16_t type = load16(frame.data() + at - 2);
  for (int tags = 0; (type == kVlan || type == kServiceVlan) && tags < kTagsMax; tags++) {
    at += kVlanTagBytes;
    if (frame.size() < at) return out;
    type = load16(frame.data() + at - 2);
  }
  if (type == kIpv4) read_ipv4(frame, at, &out);
  if (type == kIpv6) read_ipv6(frame, at, &out);
  return out;
}

Sum pseudo_header_sum(const uint8_t* frame, const FrameLayout& layout, uint32_t bytes) {
  const uint8_t* ip = frame + layout.ip;
  Sum addresses = layout.version == 4 ? sum_of(ip + ipv4::kSource, 8) : sum_of(ip + ipv6::kSource, 32);
  return addresses + sum_of(layout.protocol) + sum_of(static_cast<uint16_t>(bytes));
}

}  // namespace ksocket
