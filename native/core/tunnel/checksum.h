// The checksum of the Internet protocols (RFC 1071) over bytes that lie in memory.
#pragma once

#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ksocket {

// Sums count words as they lie in memory: the order of bytes makes no difference to what is stored in the end
// (RFC 1071, 2 B). A sum can be added to another one; a part of odd length has to be the last.
using Sum = uint64_t;

inline Sum folded32(uint64_t sum) {
  return (sum & UINT32_MAX) + (sum >> 32);
}

Sum sum_of(const uint8_t* data, size_t bytes);
// Of what it copies: once through the bytes instead of twice. They may not overlap.
Sum copied_sum(uint8_t* to, const uint8_t* from, size_t bytes);

// A number of 16 bits, as part of a sum.
inline Sum sum_of(uint16_t value) {
  return htons(value);
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

// What sums the many bytes, in blocks: every machine's, and of x86-64 one that half of the instructions are
// enough for (AVX2). For tests: each of those that this processor has.
namespace checksum {
inline constexpr size_t kBlockBytes = 64;
// `to` is nullptr where nothing is to be copied.
using Blocks = Sum (*)(uint8_t* to, const uint8_t* from, size_t blocks);
Sum plain_blocks(uint8_t* to, const uint8_t* from, size_t blocks);
// nullptr: the processor has no wider ones.
Blocks wide_blocks();
}  // namespace checksum

}  // namespace ksocket
