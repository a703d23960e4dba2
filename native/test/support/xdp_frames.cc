#include "support/xdp_frames.h"

#include <algorithm>

namespace ksocket::test {

namespace {

using Bytes = std::vector<uint8_t>;
using Flaw = Frame::Flaw;

void put(Bytes* to, uint32_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--) to->push_back(static_cast<uint8_t>(value >> 8 * i));
}

void set_half(Bytes* bytes, size_t at, uint16_t value) {
  (*bytes)[at] = static_cast<uint8_t>(value >> 8);
  (*bytes)[at + 1] = static_cast<uint8_t>(value);
}

uint16_t udp_length(const Frame& frame) {
  uint16_t out = static_cast<uint16_t>(8 + frame.payload.size());
  if (frame.flaw == Flaw::udp_short) return out - 1;
  if (frame.flaw == Flaw::udp_long) return out + 1;
  return frame.flaw == Flaw::udp_tiny ? 7 : out;
}

// 0 would say that there is none, and the sum of the addresses that it is not complete.
uint16_t wrong_checksum(uint16_t right, uint16_t partial) {
  uint16_t out = right;
  do out++;
  while (out == 0 || out == 0xffff || out == partial);
  return out;
}

Bytes udp_of(const Frame& frame) {
  Bytes out;
  put(&out, frame.source_port, 2);
  put(&out, frame.flaw == Flaw::port ? frame.local_port + 1 : frame.local_port, 2);
  put(&out, udp_length(frame), 2);
  put(&out, 0, 2);
  out.insert(out.end(), frame.payload.begin(), frame.payload.end());
  uint16_t sum = internet_sum(out, pseudo_sum(frame));
  uint16_t whole = sum == 0xffff ? 0xffff : static_cast<uint16_t>(~sum);
  switch (frame.checksum) {
    case Frame::Checksum::whole:
      set_half(&out, 6, whole);
      break;
    case Frame::Checksum::partial:
      set_half(&out, 6, internet_sum({}, pseudo_sum(frame)));
      break;
    case Frame::Checksum::none:
      break;
    case Frame::Checksum::wrong:
      set_half(&out, 6, wrong_checksum(whole, internet_sum({}, pseudo_sum(frame))));
      break;
  }
  if (frame.flaw == Flaw::header_checksum && frame.source.size() == 16) set_half(&out, 6, 0);
  return out;
}

uint16_t fragment_field(Flaw flaw) {
  switch (flaw) {
    case Flaw::fragment:
      return 0x2000;
    case Flaw::later_fragment:
      return 0x0010;
    case Flaw::reserved_flag:
      return 0xc000;
    default:
      return 0x4000;  // may not be fragmented
  }
}

Bytes ipv4_of(const Frame& frame, size_t behind) {
  Bytes out;
  size_t options = frame.flaw == Flaw::options ? 4 : 0;
  uint32_t length = static_cast<uint32_t>(20 + options + behind);
  if (frame.flaw == Flaw::packet_long) length += frame.padding + 1;
  put(&out, (frame.flaw == Flaw::ip_version ? 0x60 : 0x40) | (options > 0 ? 6 : 5), 1);
  put(&out, frame.tos, 1);
  put(&out, length, 2);
  put(&out, frame.identification, 2);
  put(&out, fragment_field(frame.flaw), 2);
  put(&out, frame.ttl, 1);
  put(&out, frame.flaw == Flaw::protocol ? 6 : 17, 1);
  put(&out, 0, 2);
  out.insert(out.end(), frame.source.begin(), frame.source.end());
  out.insert(out.end(), frame.local.begin(), frame.local.end());
  out.resize(20 + options, 1);  // no operation
  set_half(&out, 10, static_cast<uint16_t>(~internet_sum(out)));
  if (frame.flaw == Flaw::header_checksum) out[10] ^= 1;
  return out;
}

Bytes ipv6_of(const Frame& frame, size_t behind) {
  Bytes out;
  bool fragment =
      frame.flaw == Flaw::fragment || frame.flaw == Flaw::later_fragment || frame.flaw == Flaw::reserved_flag;
  bool extension = frame.flaw == Flaw::options || fragment;
  uint32_t length = static_cast<uint32_t>(behind + (extension ? 8 : 0));
  if (frame.flaw == Flaw::packet_long) length += frame.padding + 1;
  put(&out, (frame.flaw == Flaw::ip_version ? 0x40000000u : 0x60000000u) | frame.tos << 20 | frame.flow_label,
      4);
  put(&out, length, 2);
  put(&out, fragment ? 44 : extension ? 60 : frame.flaw == Flaw::protocol ? 6 : 17, 1);
  put(&out, frame.ttl, 1);
  out.insert(out.end(), frame.source.begin(), frame.source.end());
  out.insert(out.end(), frame.local.begin(), frame.local.end());
  if (extension) put(&out, 17, 1), put(&out, 0, 3), put(&out, 0, 4);
  return out;
}

}  // namespace

uint16_t internet_sum(std::span<const uint8_t> bytes, uint32_t seed) {
  uint64_t sum = seed;
  for (size_t i = 0; i < bytes.size(); i++) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint32_t pseudo_sum(const Frame& frame) {
  uint32_t out = internet_sum(frame.source);
  out += internet_sum(frame.local);
  return out + 17 + udp_length(frame);
}

bool is_partial(const Frame& frame) {
  return frame.checksum == Frame::Checksum::partial &&
         internet_sum(udp_of(frame), pseudo_sum(frame)) != 0xffff;
}

std::vector<uint8_t> Frame::bytes() const {
  bool ipv4 = source.size() == 4;
  Bytes out(hardware_to.begin(), hardware_to.end());
  out.insert(out.end(), hardware_from.begin(), hardware_from.end());
  if (flaw == Flaw::to_a_group) out[0] |= 1;
  if (flaw == Flaw::to_another) out[identification % 6] ^= 0x40;
  if (flaw == Flaw::from_a_group) out[6] |= 1;
  if (flaw == Flaw::from_nobody) std::fill(out.begin() + 6, out.end(), 0);
  put(&out, flaw == Flaw::ethertype ? 0x8100 : ipv4 ? 0x0800 : 0x86dd, 2);
  Bytes udp = udp_of(*this), ip = ipv4 ? ipv4_of(*this, udp.size()) : ipv6_of(*this, udp.size());
  out.insert(out.end(), ip.begin(), ip.end());
  out.insert(out.end(), udp.begin(), udp.end());
  if (flaw == Flaw::cut)
    out.resize(14 + ip.size() + 7);
  else
    out.insert(out.end(), padding, 0xee);
  return out;
}

}  // namespace ksocket::test
