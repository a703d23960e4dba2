// Numbers as they are on the wire, the highest byte first, wherever they lie; and the checksum of the
// Internet protocols (RFC 1071).
#pragma once

#include <arpa/inet.h>

#include <bit>
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

// Halves of 64-bit lanes: so many of them cannot overflow, and no carry is carried on.
inline Sum sum_of(const uint8_t* data, size_t bytes) {
  using Lanes = uint64_t __attribute__((vector_size(16)));
  Lanes low{}, high{}, first, second;
  const size_t all = bytes;
  for (; bytes >= 32; bytes -= 32, data += 32) {
    std::memcpy(&first, data, 16);
    std::memcpy(&second, data + 16, 16);
    low += (first & UINT32_MAX) + (second & UINT32_MAX);
    high += (first >> 32) + (second >> 32);
  }
  Sum sum = low[0] + low[1] + high[0] + high[1];
  uint64_t word = 0;
  for (; bytes >= 8; bytes -= 8, data += 8) {
    std::memcpy(&word, data, 8);
    sum += folded32(word);
  }
  if (bytes == 0) return folded32(sum);
  if (all < 8) {
    word = 0;
    std::memcpy(&word, data, bytes);
  } else {  // with what stands before it, and is shifted out: no pieces that are put together in memory
    std::memcpy(&word, data + bytes - 8, 8);
    size_t others = (8 - bytes) * 8;
    word = std::endian::native == std::endian::little ? word >> others : word << others;
  }
  sum += folded32(word);
  return folded32(sum);
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
