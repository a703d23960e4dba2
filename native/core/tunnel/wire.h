// Numbers as they are on the wire, the highest byte first, wherever they lie; and the checksum of the
// Internet protocols (RFC 1071).
#pragma once

#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ksocket {

inline uint16_t load16(const uint8_t* at) {
  uint16_t out;
  std::memcpy(&out, at, sizeof out);
  return ntohs(out);
}
inline uint32_t load32(const uint8_t* at) {
  uint32_t out;
  std::memcpy(&out, at, sizeof out);
  return ntohl(out);
}
inline void store16(uint8_t* at, uint16_t value) {
  value = htons(value);
  std::memcpy(at, &value, sizeof value);
}
inline void store32(uint8_t* at, uint32_t value) {
  value = htonl(value);
  std::memcpy(at, &value, sizeof value);
}

// Sums count words as they lie in memory: the order of bytes makes no difference to what is stored in the end
// (RFC 1071, 2 B). A sum can be added to another one; a part of odd length has to be the last.
using Sum = uint64_t;

inline Sum folded32(uint64_t sum) {
  return (sum & UINT32_MAX) + (sum >> 32);
}

inline Sum sum_of(const uint8_t* data, size_t bytes) {
  uint64_t a = 0, b = 0, carries = 0, word, next;
  for (; bytes >= 16; bytes -= 16, data += 16) {
    std::memcpy(&word, data, 8);
    std::memcpy(&next, data + 8, 8);
    a += word, carries += a < word;
    b += next, carries += b < next;
  }
  if (bytes >= 8) {
    std::memcpy(&word, data, 8);
    a += word, carries += a < word;
    data += 8, bytes -= 8;
  }
  if (bytes > 0) {
    word = 0;
    std::memcpy(&word, data, bytes);
    b += word, carries += b < word;
  }
  return folded32(a) + folded32(b) + carries;
}

inline uint16_t folded(Sum sum) {
  sum = folded32(sum);
  while (sum > UINT16_MAX) sum = (sum & UINT16_MAX) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// The checksum, as it is stored.
inline void store_checksum(uint8_t* at, Sum sum) {
  auto stored = static_cast<uint16_t>(~folded(sum));
  std::memcpy(at, &stored, sizeof stored);
}

// A number of 16 bits, as part of a sum.
inline Sum sum_of(uint16_t value) {
  return htons(value);
}

}  // namespace ksocket
