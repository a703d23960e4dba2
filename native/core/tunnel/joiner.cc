#include "core/tunnel/joiner.h"

#include <cstring>

namespace ksocket {

namespace {

// Of either: what is counted in 16 bits. IPv4 counts its header, too.
constexpr uint32_t kPacketBytesMax = 65535;

uint32_t place_of(const uint8_t* frame, const FrameLayout& layout, uint32_t places) {
  const uint8_t* ip = frame + layout.ip;
  uint32_t ends = 0, ports = load32(frame + layout.transport);
  if (layout.version == 4) {
    ends = load32(ip + ipv4::kSource) * 31 + load32(ip + ipv4::kSource + 4);
  } else {
    for (uint32_t i = 0; i < 32; i += 4) ends = ends * 31 + load32(ip + ipv6::kSource + i);
  }
  return (ends ^ ports) * 0x9e3779b1u >> 16 & (places - 1);
}

bool is_checksum_right(std::span<const uint8_t> frame, const FrameLayout& layout) {
  uint32_t bytes = layout.end - layout.transport;
  Sum sum = pseudo_header_sum(frame.data(), layout, bytes) + sum_of(frame.data() + layout.transport, bytes);
  if (folded(sum) != UINT16_MAX) return false;
  // The kernel drops a packet whose header is broken: joined, it would get a right one.
  return layout.version == 6 || folded(sum_of(frame.data() + layout.ip, ipv4::kBytes)) == UINT16_MAX;
}

// Of TCP that is divided for a device; 0: its headers alone are too long.
uint32_t payload_bytes_of_each(std::span<const uint8_t> frame, const FrameLayout& layout, uint32_t mtu) {
  uint32_t headers = layout.transport - layout.ip + tcp_header_bytes(frame.data() + layout.transport);
  return headers < mtu ? mtu - headers : 0;
}

bool same(const uint8_t* a, const uint8_t* b, uint32_t from, uint32_t end) {
  return std::memcmp(a + from, b + from, end - from) == 0;
}

}  // namespace

// Then the sum of the pseudo header is where the checksum goes. Of a frame that is damaged by chance one in
// 65536 looks so.
bool is_unfinished(std::span<const uint8_t> frame, const FrameLayout& layout) {
  if (layout.transport == 0) return false;
  uint16_t stored, sum = folded(pseudo_header_sum(frame.data(), layout, layout.end - layout.transport));
  uint32_t at = layout.transport + (layout.protocol == kTcp ? tcp::kChecksum : udp::kChecksum);
  std::memcpy(&stored, frame.data() + at, sizeof stored);
  return stored == sum;
}

size_t divided_bytes(std::span<const uint8_t> frame, uint32_t mtu, uint32_t bytes_max) {
  if (frame.size() <= bytes_max) return frame.size();
  FrameLayout layout = layout_of(frame);
  // What stands behind the packet is not divided.
  bool whole = layout.protocol == kTcp && layout.end == frame.size() && is_unfinished(frame, layout);
  return whole && payload_bytes_of_each(frame, layout, mtu) > 0 ? 0 : frame.size();
}

// What its sender's kernel left to others this one does.
void Joiner::leave_to_kernel(Item& item, uint32_t mtu, uint16_t udp_bytes) {
  const FrameLayout& layout = item.layout;
  item.header.flags = kNeedsChecksum;
  item.header.checksum_start = layout.transport;
  item.header.checksum_offset =
      static_cast<uint16_t>(layout.protocol == kTcp ? tcp::kChecksum : udp::kChecksum);
  if (layout.protocol == kUdp && udp_bytes != 0) {
    item.header.gso_type = kGsoUdp;
    item.header.header_bytes = static_cast<uint16_t>(layout.transport + udp::kBytes);
    item.header.gso_size = udp_bytes;
    return;
  }
  if (layout.protocol != kTcp || layout.end - layout.ip <= mtu) return;
  uint32_t each = payload_bytes_of_each(item.first, layout, mtu);
  if (each == 0) return;
  item.header.gso_type = layout.version == 4 ? kGsoTcpV4 : kGsoTcpV6;
  item.header.header_bytes = static_cast<uint16_t>(layout.ip + mtu - each);
  item.header.gso_size = static_cast<uint16_t>(each);
}

// By itself: data, and nothing that has to be said of one frame alone.
bool Joiner::may_join(std::span<const uint8_t> frame, const FrameLayout& layout) {
  if (layout.protocol != kTcp || !layout.plain || layout.end != frame.size()) return false;
  const uint8_t* header = frame.data() + layout.transport;
  uint8_t flags = header[tcp::kFlags];
  return (flags & ~tcp::kPsh) == tcp::kAck && layout.end > layout.transport + tcp_header_bytes(header);
}

// Are these the bytes behind those of the item, under the same headers?
bool Joiner::follows(const Item& item, std::span<const uint8_t> frame, const FrameLayout& layout,
                     uint32_t header_bytes) {
  const uint8_t *a = item.first.data(), *b = frame.data();
  uint32_t ip = layout.ip, transport = layout.transport;
  if (item.layout.version != layout.version || item.layout.ip != ip || item.header_bytes != header_bytes)
    return false;
  uint32_t payload_bytes = layout.end - header_bytes;
  if (payload_bytes > item.each || item.pieces.size() >= kPiecesMax) return false;
  if (header_bytes - ip + item.payload_bytes + payload_bytes > kPacketBytesMax) return false;
  if (load32(a + transport + tcp::kSequence) + item.payload_bytes != load32(b + transport + tcp::kSequence))
    return false;
  if (!same(a, b, 0, ip)) return false;
  if (layout.version == 4) {
    // Its number is the next one; or, where it can never be divided, the same (RFC 6864 gives it no meaning).
    uint16_t first = load16(a + ip + ipv4::kId), id = load16(b + ip + ipv4::kId);
    bool whole = (load16(b + ip + ipv4::kFragment) & ipv4::kDontFragment) != 0;
    if (id != static_cast<uint16_t>(first + item.frames) && !(whole && id == first)) return false;
    if (!same(a, b, ip, ip + ipv4::kLength) || !same(a, b, ip + ipv4::kFragment, ip + ipv4::kChecksum) ||
        !same(a, b, ip + ipv4::kSource, ip + ipv4::kBytes))
      return false;
  } else if (!same(a, b, ip, ip + ipv6::kLength) || !same(a, b, ip + ipv6::kNext, ip + ipv6::kBytes)) {
    return false;
  }
  return same(a, b, transport, transport + tcp::kSequence) &&
         same(a, b, transport + tcp::kAcknowledged, transport + tcp::kFlags) &&
         same(a, b, transport + tcp::kWindow, transport + tcp::kChecksum) &&
         same(a, b, transport + tcp::kUrgent, header_bytes);
}

Joiner::Item& Joiner::new_item(std::span<const uint8_t> frame, const FrameLayout& layout) {
  if (used_ == items_.size()) items_.emplace_back();
  Item& item = items_[used_++];
  item.header = {};
  item.layout = layout;
  item.first = frame;
  item.frames = 1;
  item.bytes = frame.size();
  item.open = item.verified = false;
  item.pieces.clear();
  item.pieces.push_back({});  // the header, wherever the item is then
  item.pieces.push_back({const_cast<uint8_t*>(frame.data()), frame.size()});
  return item;
}

void Joiner::add(std::span<const uint8_t> frame, uint32_t mtu, uint16_t udp_bytes) {
  FrameLayout layout = layout_of(frame);
  if (layout.fragment) generation_++;  // of any connection: what comes later is not to overtake it
  bool unfinished = is_unfinished(frame, layout);
  if (layout.transport == 0 || layout.protocol != kTcp) {
    Item& item = new_item(frame, layout);
    if (unfinished) leave_to_kernel(item, mtu, udp_bytes);
    return;
  }
  Place& place = places_[place_of(frame.data(), layout, kPlaces)];
  Item* latest = item_at(place);
  bool data = !unfinished && may_join(frame, layout);
  uint32_t header_bytes = layout.transport + tcp_header_bytes(frame.data() + layout.transport);
  if (data && latest != nullptr && latest->open && follows(*latest, frame, layout, header_bytes)) {
    if (!latest->verified) latest->verified = is_checksum_right(latest->first, latest->layout);
    if (latest->verified && is_checksum_right(frame, layout)) {
      join(*latest, frame, header_bytes);
      return;
    }
    data = latest->verified ? false : data;  // a broken one is left to the kernel to drop
  }
  // What comes of the connection is written behind it, so nothing may join what is before.
  place = {generation_, used_};
  Item& item = new_item(frame, layout);
  if (unfinished) leave_to_kernel(item, mtu, 0);
  if (!data) return;
  item.header_bytes = header_bytes;
  item.payload_bytes = item.each = layout.end - header_bytes;
  item.flags = frame[layout.transport + tcp::kFlags];
  item.open = (item.flags & tcp::kPsh) == 0;
}

void Joiner::join(Item& item, std::span<const uint8_t> frame, uint32_t header_bytes) {
  auto payload = [&](std::span<const uint8_t> of) {
    return iovec{const_cast<uint8_t*>(of.data()) + header_bytes, of.size() - header_bytes};
  };
  if (item.frames == 1) {
    std::memcpy(item.headers.data(), item.first.data(), header_bytes);
    item.pieces.back() = {};  // the headers
    item.pieces.push_back(payload(item.first));
  }
  item.pieces.push_back(payload(frame));
  auto bytes = static_cast<uint32_t>(item.pieces.back().iov_len);
  item.frames++;
  item.bytes += frame.size();
  item.payload_bytes += bytes;
  item.flags = frame[item.layout.transport + tcp::kFlags];
  item.open = bytes == item.each && (item.flags & tcp::kPsh) == 0;
}

Joiner::Write Joiner::finish(Item& item) {
  item.pieces[0] = {&item.header, sizeof item.header};
  if (item.frames > 1) {
    uint8_t* headers = item.headers.data();
    const FrameLayout& layout = item.layout;
    uint8_t* ip = headers + layout.ip;
    uint8_t* transport = headers + layout.transport;
    item.pieces[1] = {headers, item.header_bytes};
    uint32_t segment_bytes = item.header_bytes - layout.transport + item.payload_bytes;
    if (layout.version == 4) {
      store16(ip + ipv4::kLength, static_cast<uint16_t>(ipv4::kBytes + segment_bytes));
      store16(ip + ipv4::kChecksum, 0);
      store_checksum(ip + ipv4::kChecksum, sum_of(ip, ipv4::kBytes));
    } else {
      store16(ip + ipv6::kLength, static_cast<uint16_t>(segment_bytes));
    }
    transport[tcp::kFlags] = item.flags;
    // The kernel goes on from the sum of the pseudo header.
    uint16_t sum = folded(pseudo_header_sum(headers, layout, segment_bytes));
    std::memcpy(transport + tcp::kChecksum, &sum, sizeof sum);
    item.header.flags = kNeedsChecksum;
    item.header.gso_type = layout.version == 4 ? kGsoTcpV4 : kGsoTcpV6;
    item.header.header_bytes = static_cast<uint16_t>(item.header_bytes);
    item.header.gso_size = static_cast<uint16_t>(item.each);
    item.header.checksum_start = layout.transport;
    item.header.checksum_offset = tcp::kChecksum;
  }
  return {item.pieces, item.frames, item.bytes};
}

}  // namespace ksocket
