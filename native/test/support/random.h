// Where the choices of a test come from: a seed, or the bytes that a fuzzer has found.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <span>

namespace ksocket::test {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(std::make_unique<std::mt19937>(seed)) {}
  // Behind the last byte every choice is the highest one, so that whoever goes on while it is 0 comes to an
  // end.
  explicit Random(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  // Any 32 bits.
  uint32_t operator()() { return engine_ ? static_cast<uint32_t>((*engine_)()) : take(4); }
  // Uniform in 0 … limit - 1. Of a fuzzer's bytes it takes no more than the number needs.
  uint32_t below(uint32_t limit) {
    if (engine_) return static_cast<uint32_t>(uint64_t{(*this)()} * limit >> 32);
    size_t size = limit <= 1 << 8 ? 1 : limit <= 1 << 16 ? 2 : 4;
    return left() == 0 ? limit - 1 : take(size) % limit;
  }
  bool one_in(uint32_t n) { return below(n) == 0; }
  uint64_t u64() {
    uint64_t high = (*this)();
    return high << 32 | (*this)();
  }

  // Of a fuzzer's bytes: how many there are left, and the next ones, `count` of them or all that are left.
  size_t left() const { return bytes_.size(); }
  bool is_used_up() const { return !engine_ && bytes_.empty(); }
  std::span<const uint8_t> bytes(size_t count) {
    std::span<const uint8_t> out = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(out.size());
    return out;
  }

 private:
  uint32_t take(size_t size) {
    if (left() == 0) return UINT32_MAX;
    uint32_t out = 0;
    for (uint8_t byte : bytes(size)) out = out << 8 | byte;
    return out;
  }

  std::unique_ptr<std::mt19937> engine_;
  std::span<const uint8_t> bytes_;
};

}  // namespace ksocket::test
