// Addresses by their text.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "core/socket/address.h"

namespace ksocket::test {

// "127.0.0.1", 4000 → an Address; throws when it is none.
inline Address address_of(const char* text, uint16_t port = 0) {
  Address out;
  uint8_t family = std::strchr(text, ':') != nullptr ? 6 : 4;
  if (parse_address(family, text, port, &out) != 0) throw std::invalid_argument(text);
  return out;
}

}  // namespace ksocket::test
