// Numbers as they are on the wire, the highest byte first, wherever they lie.
#pragma once

#include <arpa/inet.h>

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

}  // namespace ksocket
