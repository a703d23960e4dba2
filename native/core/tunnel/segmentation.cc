#include "core/tunnel/segmentation.h"

#include <algorithm>
#include <cstring>

namespace ksocket {

namespace {

// What a UDP header says that has a checksum: 0 would say that it has none (RFC 768).
void store_udp_checksum(uint8_t* at, Sum sum) {
  store_checksum(at, sum);
  if (at[0] == 0 && at[1] == 0) at[0] = at[1] = 0xff;
}

}  // namespace

// The kernel has put the sum of the pseudo header where the checksum goes.
bool Segmentation::make_checksum(const VnetHeader& header, std::span<uint8_t> frame) {
  uint32_t start = header.checksum_start;
  if (start + header.checksum_offset + 2u > frame.size() || start < kEthernetBytes) return false;
  uint8_t* at = frame.data() + start + header.checksum_offset;
  store_udp_checksum(at, sum_of(frame.data() + start, frame.size() - start));
  return true;
}

std::optional<Segmentation> Segmentation::of(const VnetHeader& header, std::span<uint8_t> frame) {
  if (frame.size() < kEthernetBytes) return std::nullopt;
  Segmentation out;
  out.frame_ = frame.data();
  uint8_t type = header.gso_type & ~kGsoEcn;
  if (type == kGsoNone) {
    if ((header.flags & kNeedsChecksum) != 0 && !make_checksum(header, frame)) return std::nullopt;
    out.count_ = 1;
    out.each_ = out.payload_bytes_ = static_cast<uint32_t>(frame.size());
    return out;
  }
  out.joined_ = true;
  out.layout_ = layout_of(frame);
  const FrameLayout& layout = out.layout_;
  if (layout.transport == 0 || header.gso_size == 0) return std::nullopt;
  bool tcp = (type == kGsoTcpV4 && layout.version == 4) || (type == kGsoTcpV6 && layout.version == 6);
  if (!(tcp && layout.protocol == kTcp) && !(type == kGsoUdp && layout.protocol == kUdp)) return std::nullopt;
  out.header_bytes_ = layout.transport + (tcp ? tcp_header_bytes(&frame[layout.transport]) : udp::kBytes);
  out.payload_bytes_ = layout.end - out.header_bytes_;
  out.each_ = std::min<uint32_t>(header.gso_size, out.payload_bytes_);
  out.count_ = out.payload_bytes_ == 0 ? 1 : (out.payload_bytes_ + header.gso_size - 1) / header.gso_size;
  return out;
}

void Segmentation::write(std::span<const uint8_t> prefix, uint8_t* out) const {
  uint32_t at = 0;
  for (uint32_t i = 0; i < count_; i++) {
    uint32_t payload_bytes = std::min(each_, payload_bytes_ - at);
    std::copy(prefix.begin(), prefix.end(), out);
    out += prefix.size();
    std::memcpy(out, frame_, header_bytes_);  // of a frame that was not joined: none
    const uint8_t* payload = frame_ + header_bytes_ + at;
    if (joined_)
      write_headers(out, i, payload_bytes, copied_sum(out + header_bytes_, payload, payload_bytes));
    else
      std::memcpy(out, payload, payload_bytes);
    out += header_bytes_ + payload_bytes;
    at += payload_bytes;
  }
}

// What differs from the headers of the whole.
void Segmentation::write_headers(uint8_t* frame, uint32_t index, uint32_t payload_bytes, Sum payload) const {
  uint8_t* ip = frame + layout_.ip;
  uint8_t* transport = frame + layout_.transport;
  uint32_t end = header_bytes_ + payload_bytes, segment_bytes = end - layout_.transport;
  if (layout_.version == 4) {
    store16(ip + ipv4::kLength, static_cast<uint16_t>(end - layout_.ip));
    store16(ip + ipv4::kId, static_cast<uint16_t>(load16(ip + ipv4::kId) + index));
    store16(ip + ipv4::kChecksum, 0);
    store_checksum(ip + ipv4::kChecksum, sum_of(ip, (ip[0] & 15u) * 4));
  } else {
    store16(ip + ipv6::kLength, static_cast<uint16_t>(end - layout_.ip - ipv6::kBytes));
  }
  if (layout_.protocol == kTcp) {
    store32(transport + tcp::kSequence, load32(transport + tcp::kSequence) + index * each_);
    if (index + 1 < count_) transport[tcp::kFlags] &= static_cast<uint8_t>(~(tcp::kFin | tcp::kPsh));
    if (index > 0) transport[tcp::kFlags] &= static_cast<uint8_t>(~tcp::kCwr);
    store16(transport + tcp::kChecksum, 0);
  } else {
    store16(transport + udp::kLength, static_cast<uint16_t>(segment_bytes));
    store16(transport + udp::kChecksum, 0);
  }
  Sum sum = pseudo_header_sum(frame, layout_, segment_bytes) +
            sum_of(transport, header_bytes_ - layout_.transport) + payload;
  if (layout_.protocol == kTcp)
    store_checksum(transport + tcp::kChecksum, sum);
  else
    store_udp_checksum(transport + udp::kChecksum, sum);
}

}  // namespace ksocket
