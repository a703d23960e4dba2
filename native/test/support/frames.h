// Ethernet frames, made and checked by the book: byte by byte, sharing nothing with core/tunnel/.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace ksocket::test {

using Frame = std::vector<uint8_t>;

inline void put16(Frame* to, uint32_t value) {
  to->push_back(static_cast<uint8_t>(value >> 8));
  to->push_back(static_cast<uint8_t>(value));
}
inline void put32(Frame* to, uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}
inline uint32_t get16(const Frame& from, size_t at) {
  return from.at(at) << 8 | from.at(at + 1);
}
inline uint32_t get32(const Frame& from, size_t at) {
  return get16(from, at) << 16 | get16(from, at + 2);
}

// RFC 1071, as its text says: words of 16 bits, the highest byte first, and the carries come back.
inline uint32_t plain_sum(const Frame& bytes, size_t from, size_t end, uint32_t sum = 0) {
  for (size_t i = from; i < end; i++) {
    sum += (i - from) % 2 == 0 ? bytes.at(i) << 8 : bytes.at(i);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}

struct FrameOptions {
  int version = 4;
  uint8_t protocol = 6;
  int tags = 0;  // VLAN tags
  uint32_t source_port = 40000, port = 80;
  uint32_t id = 1;  // IPv4's
  bool dont_fragment = true;
  uint32_t sequence = 1000, acknowledged = 77, window = 500;
  uint8_t flags = 0x10;        // TCP's: ACK
  uint32_t option_bytes = 12;  // TCP's, a multiple of 4
  size_t payload_bytes = 100;
  uint8_t first_byte = 0;  // of the payload, from which it counts
};

struct Places {
  size_t ip, transport, payload;
};
inline Places places_of(const FrameOptions& o) {
  size_t ip = 14 + 4u * static_cast<size_t>(o.tags);
  size_t transport = ip + (o.version == 4 ? 20 : 40);
  return {ip, transport, transport + (o.protocol == 6 ? 20 + o.option_bytes : 8)};
}

// Of addresses, protocol and length, and of the segment.
inline uint32_t plain_transport_sum(const Frame& frame, const FrameOptions& o, bool with_segment = true) {
  Places at = places_of(o);
  uint32_t bytes = static_cast<uint32_t>(frame.size() - at.transport);
  uint32_t sum =
      o.version == 4 ? plain_sum(frame, at.ip + 12, at.ip + 20) : plain_sum(frame, at.ip + 8, at.ip + 40);
  Frame rest;
  put16(&rest, o.protocol);
  put16(&rest, bytes);
  sum = plain_sum(rest, 0, rest.size(), sum);
  return with_segment ? plain_sum(frame, at.transport, frame.size(), sum) : sum;
}

inline size_t transport_checksum_at(const FrameOptions& o) {
  return places_of(o).transport + (o.protocol == 6 ? 16 : 6);
}

inline void set16(Frame* frame, size_t at, uint32_t value) {
  (*frame)[at] = static_cast<uint8_t>(value >> 8);
  (*frame)[at + 1] = static_cast<uint8_t>(value);
}

inline void set_checksums(Frame* frame, const FrameOptions& o) {
  Places at = places_of(o);
  if (o.version == 4) {
    set16(frame, at.ip + 10, 0);
    set16(frame, at.ip + 10, ~plain_sum(*frame, at.ip, at.ip + 20));
  }
  size_t checksum = transport_checksum_at(o);
  set16(frame, checksum, 0);
  uint32_t sum = ~plain_transport_sum(*frame, o) & 0xffff;
  set16(frame, checksum, sum == 0 && o.protocol == 17 ? 0xffff : sum);
}

inline void put_transport(Frame* out, const FrameOptions& o) {
  put16(out, o.source_port);
  put16(out, o.port);
  if (o.protocol == 17) {
    put16(out, static_cast<uint32_t>(8 + o.payload_bytes));
    put16(out, 0);
    return;
  }
  put32(out, o.sequence);
  put32(out, o.acknowledged);
  out->push_back(static_cast<uint8_t>((20 + o.option_bytes) / 4 << 4));
  out->push_back(o.flags);
  put16(out, o.window);
  put32(out, 0);
  for (uint32_t i = 0; i < o.option_bytes; i++) out->push_back(1);  // NOP
}

// With right checksums.
inline Frame make_frame(const FrameOptions& o) {
  Frame out = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  for (int i = 0; i < o.tags; i++) {
    put16(&out, i + 1 < o.tags ? 0x88a8 : 0x8100);
    put16(&out, static_cast<uint32_t>(100 + i));
  }
  put16(&out, o.version == 4 ? 0x0800 : 0x86dd);
  Places at = places_of(o);
  size_t end = at.payload + o.payload_bytes;
  if (o.version == 4) {
    out.insert(out.end(), {0x45, 0});
    put16(&out, static_cast<uint32_t>(end - at.ip));
    put16(&out, o.id & 0xffff);
    put16(&out, o.dont_fragment ? 0x4000 : 0);
    out.insert(out.end(), {64, o.protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2});
  } else {
    out.insert(out.end(), {0x60, 1, 2, 3});
    put16(&out, static_cast<uint32_t>(end - at.ip - 40));
    out.insert(out.end(), {o.protocol, 64});
    for (int i = 0; i < 32; i++) out.push_back(static_cast<uint8_t>(i * 7));
  }
  put_transport(&out, o);
  for (size_t i = 0; i < o.payload_bytes; i++)
    out.push_back(static_cast<uint8_t>(o.first_byte + i * 13 + i / 256));
  set_checksums(&out, o);
  return out;
}

}  // namespace ksocket::test
