#include "support/rules_interpreter.h"

#include <string>

#include "core/socket/address.h"

namespace ksocket::test {

using rules::Action;
using rules::Cidr;
using rules::Mask;
using rules::Match;
using rules::Request;

namespace {

std::string text_of(std::span<const uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

// The address as zeroes and ones; IPv4-mapped IPv6 as IPv4.
std::string bits_of(const uint8_t* bytes, uint8_t family) {
  std::string bits;
  for (int i = 0; i < (family == 4 ? 32 : 128); i++) bits += bytes[i / 8] >> (7 - i % 8) & 1 ? '1' : '0';
  std::string mapped = std::string(80, '0') + std::string(16, '1');
  return family == 6 && bits.starts_with(mapped) ? bits.substr(96) : bits;
}

bool is_in(const Address& source, const Cidr& network) {
  if (source.family == 0) return false;
  std::string bits = bits_of(source.bytes, source.family);
  if (bits.size() != (network.family == 4 ? 32u : 128u)) return false;
  for (int i = 0; i < network.prefix_bits; i++) {
    if ((bits[i] == '1') != ((network.bytes[i / 8] >> (7 - i % 8) & 1) == 1)) return false;
  }
  return true;
}

bool holds(const Mask& mask, std::span<const uint8_t> payload) {
  for (size_t i = 0; i < mask.mask.size(); i++) {
    if (mask.at + i >= payload.size()) return false;
    if ((payload[mask.at + i] & mask.mask[i]) != mask.value[i]) return false;
  }
  return true;
}

}  // namespace

bool matches(const Match& match, const Request& request) {
  std::string payload = text_of(request.payload), wanted = text_of(match.payload);
  if (match.kind == Match::Payload::exact && payload != wanted) return false;
  if (match.kind == Match::Payload::prefix && !payload.starts_with(wanted)) return false;
  if (payload.size() < match.length_min || payload.size() > match.length_max) return false;
  for (const Mask& mask : match.masks) {
    if (!holds(mask, request.payload)) return false;
  }
  bool source = match.sources.empty();
  for (const Cidr& network : match.sources) source = source || is_in(request.source, network);
  bool port = match.destination_ports.empty();
  for (uint16_t one : match.destination_ports) port = port || one == request.destination_port;
  return source && port;
}

Verdict interpret(const rules::RuleSpec& spec, const Request& request) {
  Verdict out;
  for (uint32_t i = 0; i < spec.rules.size(); i++) {
    if (!matches(spec.rules[i].match, request)) continue;
    if (spec.rules[i].action != Action::count) {
      out.winner = i;
      return out;
    }
    out.counted.push_back(i);
  }
  return out;
}

}  // namespace ksocket::test
