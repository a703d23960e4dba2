#include "core/answer/rules/conditions.h"

#include <algorithm>
#include <cstring>

namespace ksocket::rules {

namespace {

bool mask_holds(const Mask& mask, std::span<const uint8_t> payload) {
  size_t size = mask.mask.size();
  if (payload.size() < mask.at + size) return false;
  const uint8_t* at = payload.data() + mask.at;
  for (size_t i = 0; i < size; i++) {
    if ((at[i] & mask.mask[i]) != mask.value[i]) return false;
  }
  return true;
}

bool contains(const Cidr& network, std::span<const uint8_t> ip) {
  if (ip.size() != (network.family == 4 ? 4u : 16u)) return false;
  uint32_t whole = network.prefix_bits / 8, rest = network.prefix_bits % 8;
  if (std::memcmp(network.bytes, ip.data(), whole) != 0) return false;
  return rest == 0 || (network.bytes[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

}  // namespace

std::span<const uint8_t> ip_bytes(const Address& address) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (address.family == 4) return {address.bytes, 4};
  if (address.family != 6) return {};
  if (std::memcmp(address.bytes, kMapped, sizeof kMapped) == 0) return {address.bytes + 12, 4};
  return {address.bytes, 16};
}

bool conditions_hold(const Match& match, const Request& request) {
  size_t length = request.payload.size();
  if (length < match.length_min || length > match.length_max) return false;
  for (const Mask& mask : match.masks) {
    if (!mask_holds(mask, request.payload)) return false;
  }
  if (!match.sources.empty()) {
    std::span<const uint8_t> ip = ip_bytes(request.source);
    auto from_there = [ip](const Cidr& network) { return contains(network, ip); };
    if (std::ranges::none_of(match.sources, from_there)) return false;
  }
  const auto& ports = match.destination_ports;
  return ports.empty() || std::ranges::find(ports, request.destination_port) != ports.end();
}

}  // namespace ksocket::rules
