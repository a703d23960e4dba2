#include "core/tunnel/checksum.h"

#include <bit>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace ksocket {

namespace checksum {

// Halves of 64-bit lanes: so many of them cannot overflow, and no carry is carried on.
Sum plain_blocks(uint8_t* to, const uint8_t* from, size_t blocks) {
  using Lanes = uint64_t __attribute__((vector_size(16)));
  Lanes low{}, high{};
  for (; blocks > 0; blocks--, from += kBlockBytes) {
    Lanes words[kBlockBytes / sizeof(Lanes)];
    std::memcpy(words, from, sizeof words);
    if (to != nullptr) {
      std::memcpy(to, words, sizeof words);
      to += kBlockBytes;
    }
    for (const Lanes& each : words) {
      low += each & UINT32_MAX;
      high += each >> 32;
    }
  }
  return low[0] + low[1] + high[0] + high[1];
}

#if defined(__x86_64__)
namespace {

template <bool kCopies>
__attribute__((target("avx2"))) Sum blocks_of_32(uint8_t* to, const uint8_t* from, size_t blocks) {
  const __m256i none = _mm256_setzero_si256();
  __m256i low = none, high = none, second_low = none, second_high = none;
  for (; blocks > 0; blocks--, from += kBlockBytes) {
    __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32));
    if constexpr (kCopies) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), first);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), second);
      to += kBlockBytes;
    }
    low = _mm256_add_epi64(low, _mm256_blend_epi32(first, none, 0xaa));
    high = _mm256_add_epi64(high, _mm256_srli_epi64(first, 32));
    second_low = _mm256_add_epi64(second_low, _mm256_blend_epi32(second, none, 0xaa));
    second_high = _mm256_add_epi64(second_high, _mm256_srli_epi64(second, 32));
  }
  __m256i all = _mm256_add_epi64(_mm256_add_epi64(low, high), _mm256_add_epi64(second_low, second_high));
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), all);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

__attribute__((target("avx2"))) Sum avx2_blocks(uint8_t* to, const uint8_t* from, size_t blocks) {
  return to == nullptr ? blocks_of_32<false>(to, from, blocks) : blocks_of_32<true>(to, from, blocks);
}

// Of the processor, and of a kernel that keeps the wide registers. Not __builtin_cpu_supports: what that
// reads cannot be linked into every shared object.
bool has_avx2() {
  constexpr uint32_t kSseAndAvxState = 6;
  uint32_t a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return false;
  asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  if ((a & kSseAndAvxState) != kSseAndAvxState) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_AVX2) != 0;
}

}  // namespace

Blocks wide_blocks() {
  return has_avx2() ? avx2_blocks : nullptr;
}
#else
Blocks wide_blocks() {
  return nullptr;
}
#endif

}  // namespace checksum

namespace {

const checksum::Blocks kWide = checksum::wide_blocks();
const checksum::Blocks kWidest = kWide != nullptr ? kWide : checksum::plain_blocks;

// What no block is made of. `before`: others stand in front of it.
Sum sum_of_rest(const uint8_t* data, size_t bytes, bool before) {
  Sum sum = 0;
  uint64_t word = 0;
  for (; bytes >= 8; bytes -= 8, data += 8, before = true) {
    std::memcpy(&word, data, 8);
    sum += folded32(word);
  }
  if (bytes == 0) return sum;
  if (!before) {
    word = 0;
    std::memcpy(&word, data, bytes);
  } else {  // with what stands before it, and is shifted out: no pieces that are put together in memory
    std::memcpy(&word, data + bytes - 8, 8);
    size_t others = (8 - bytes) * 8;
    word = std::endian::native == std::endian::little ? word >> others : word << others;
  }
  return sum + folded32(word);
}

Sum sum_through(uint8_t* to, const uint8_t* from, size_t bytes) {
  const size_t blocks = bytes / checksum::kBlockBytes, done = blocks * checksum::kBlockBytes;
  Sum sum = blocks == 0 ? 0 : kWidest(to, from, blocks);
  if (to != nullptr) std::memcpy(to + done, from + done, bytes - done);
  return folded32(sum + sum_of_rest(from + done, bytes - done, done > 0));
}

}  // namespace

Sum sum_of(const uint8_t* data, size_t bytes) {
  return sum_through(nullptr, data, bytes);
}

Sum copied_sum(uint8_t* to, const uint8_t* from, size_t bytes) {
  return sum_through(to, from, bytes);
}

}  // namespace ksocket
