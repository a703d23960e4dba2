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

bool is_in(const std::vector<Cidr>& networks, std::span<const uint8_t> ip) {
  return std::ranges::any_of(networks, [ip](const Cidr& network) { return contains(network, ip); });
}

bool kernel_conditions_hold(const Match& match, const Request& request) {
  if (request.ttl < match.ttl_min || request.ttl > match.ttl_max) return false;
  if (match.dscps != kAnyDscp || match.ecns != kAnyEcn) {
    if (!(request.tos & kTosSaid)) return false;
    uint32_t dscp = (request.tos & 0xff) >> 2, ecn = request.tos & 3;
    if (!(match.dscps >> dscp & 1) || !(match.ecns >> ecn & 1)) return false;
  }
  return match.locals.empty() || is_in(match.locals, request.local);
}

}  // namespace

std::span<const uint8_t> ip_bytes(const Address& address) {
  return ip_bytes(address.family, address.bytes);
}

std::span<const uint8_t> ip_bytes(uint8_t family, const uint8_t (&address)[16]) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (family == 4) return {address, 4};
  if (family != 6) return {};
  if (std::memcmp(address, kMapped, sizeof kMapped) == 0) return {address + 12, 4};
  return {address, 16};
}

bool conditions_hold(const Match& match, const Request& request) {
  size_t length = request.payload.size();
  if (length < match.length_min || length > match.length_max) return false;
  for (const Mask& mask : match.masks) {
    if (!mask_holds(mask, request.payload)) return false;
  }
  if (!match.sources.empty() && !is_in(match.sources, ip_bytes(request.source))) return false;
  const auto& ports = match.destination_ports;
  if (!ports.empty() && std::ranges::find(ports, request.destination_port) == ports.end()) return false;
  return !match.heeds_kernel || kernel_conditions_hold(match, request);
}

}  // namespace ksocket::rules
