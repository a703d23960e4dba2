// What datagrams of a simulation carry. Each has a number, which says whom it comes from or goes to; later
// ones have larger numbers. The payload begins with it, and its other bytes follow from it. So whoever has a
// datagram can say which it is, whether it is all there, and whether it came in order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "core/socket/address.h"

namespace ksocket::simulate {

// The peer is in the low bits.
inline constexpr uint32_t kPeerBits = 8;
inline constexpr uint64_t kNumberStep = uint64_t{1} << kPeerBits;
inline constexpr uint32_t kHosts = 8;

// Eight hosts, four ports each, of which the last bit of the number's low byte says nothing.
inline Address peer_of(uint64_t number) {
  Address out;
  const uint8_t bytes[] = {127, 0, 1, static_cast<uint8_t>(number & 7)};
  std::memcpy(out.bytes, bytes, sizeof bytes);
  out.port = static_cast<uint16_t>(1000 + ((number >> 3) & 3));
  out.family = 4;
  return out;
}

inline uint64_t payload_word(uint64_t number, uint32_t index) {
  return index == 0 ? number : (number + index) * 0x9e3779b97f4a7c15;
}

inline void write_payload(uint64_t number, std::span<uint8_t> to) {
  size_t at = 0, length = to.size();
  for (; at + 8 <= length; at += 8) {
    uint64_t word = payload_word(number, static_cast<uint32_t>(at / 8));
    std::memcpy(to.data() + at, &word, 8);
  }
  uint64_t word = payload_word(number, static_cast<uint32_t>(at / 8));
  if (at < length) std::memcpy(to.data() + at, &word, length - at);
}

// Are these the first bytes of it?
inline bool is_payload(uint64_t number, std::span<const uint8_t> bytes) {
  size_t at = 0, length = bytes.size();
  uint64_t differs = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    differs |= word ^ payload_word(number, static_cast<uint32_t>(at / 8));
  }
  uint64_t word = payload_word(number, static_cast<uint32_t>(at / 8));
  return differs == 0 && (at == length || std::memcmp(&word, bytes.data() + at, length - at) == 0);
}

// None of one that is too short to say.
inline std::optional<uint64_t> number_of(std::span<const uint8_t> payload) {
  if (payload.size() < 8) return std::nullopt;
  uint64_t number;
  std::memcpy(&number, payload.data(), 8);
  return number;
}

}  // namespace ksocket::simulate
