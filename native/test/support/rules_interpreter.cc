#include "support/rules_interpreter.h"

#include <string>
#include <vector>

#include "core/socket/address.h"

namespace ksocket::test {

using rules::Action;
using rules::Cidr;
using rules::Mask;
using rules::Match;
using rules::Part;
using rules::Request;

namespace {

std::string text_of(std::span<const uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

// An address bit by bit, the most significant first.
struct Bits {
  int size = 0;
  bool on[128] = {};
};

// IPv4-mapped IPv6 as IPv4; none without a family.
Bits bits_of(const uint8_t* bytes, uint8_t family) {
  Bits out;
  if (family == 0) return out;
  out.size = family == 4 ? 32 : 128;
  for (int i = 0; i < out.size; i++) out.on[i] = bytes[i / 8] >> (7 - i % 8) & 1;
  bool mapped = family == 6;
  for (int i = 0; mapped && i < 96; i++) mapped = out.on[i] == (i >= 80);
  return mapped ? bits_of(bytes + 12, 4) : out;
}

bool is_in(const Bits& bits, const Cidr& network) {
  if (bits.size != (network.family == 4 ? 32 : 128)) return false;
  for (int i = 0; i < network.prefix_bits; i++) {
    if (bits.on[i] != ((network.bytes[i / 8] >> (7 - i % 8) & 1) == 1)) return false;
  }
  return true;
}

bool is_in_any(const Bits& bits, const std::vector<Cidr>& networks) {
  for (const Cidr& network : networks) {
    if (is_in(bits, network)) return true;
  }
  return false;
}

Bits source_bits(const Request& request) {
  return bits_of(request.source.bytes, request.source.family);
}

Bits local_bits(const Request& request) {
  return bits_of(request.local.data(), request.local.empty() ? 0 : request.local.size() == 4 ? 4 : 6);
}

bool kernel_says(const Match& match, const Request& request) {
  bool local = match.locals.empty() || is_in_any(local_bits(request), match.locals);
  if (!local || request.ttl < match.ttl_min || request.ttl > match.ttl_max) return false;
  bool dscp = match.dscps == rules::kAnyDscp, ecn = match.ecns == rules::kAnyEcn;
  if (dscp && ecn) return true;
  if (request.tos < 256) return false;
  int at = request.tos - 256;
  for (int n = 0; n < 64; n++) dscp = dscp || ((match.dscps >> n) % 2 == 1 && n == at / 4);
  for (int n = 0; n < 4; n++) ecn = ecn || ((match.ecns >> n) % 2 == 1 && n == at % 4);
  return dscp && ecn;
}

bool holds(const Mask& mask, std::span<const uint8_t> payload) {
  for (size_t i = 0; i < mask.mask.size(); i++) {
    if (mask.at + i >= payload.size()) return false;
    if ((payload[mask.at + i] & mask.mask[i]) != mask.value[i]) return false;
  }
  return true;
}

// The last `bytes` bytes of the number, the most significant first.
std::string number_text(uint64_t number, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; i--) out += static_cast<char>(number >> 8 * i);
  return out;
}

// RFC 5905: seconds since 1900 and their fraction, 32 bits each.
std::string ntp_text(uint64_t unix_ns) {
  unsigned __int128 parts = static_cast<unsigned __int128>(unix_ns % 1'000'000'000) << 32;
  return number_text(unix_ns / 1'000'000'000 + (70 * 365 + 17) * 86'400ull, 4) +
         number_text(static_cast<uint64_t>(parts / 1'000'000'000), 4);
}

std::string sliced(const std::string& text, int64_t begin, int64_t end) {
  int64_t size = static_cast<int64_t>(text.size());
  std::string out;
  for (int64_t at = 0; at < size; at++) {
    bool from = begin < 0 ? at >= size + begin : at >= begin;
    bool before = end < 0 ? at < size + end : at < end;
    if (from && before) out += text[at];
  }
  return out;
}

std::string xored(std::string text, const std::string& with, int32_t at) {
  for (size_t i = 0; at >= 0 && i < text.size(); i++) {
    if (at + i < with.size()) text[i] ^= with[at + i];
  }
  return text;
}

std::string address_text(const Bits& bits) {
  std::string out(static_cast<size_t>(bits.size / 8), '\0');
  for (int i = 0; i < bits.size; i++) out[i / 8] = static_cast<char>(out[i / 8] * 2 + bits.on[i]);
  return out;
}

std::string part_text(const Part& part, const rules::Template& of, const Request& request, uint64_t counter) {
  std::string payload = text_of(request.payload);
  switch (part.kind) {
    case Part::Kind::literal:
      return text_of(of.literals).substr(part.begin, part.end - part.begin);
    case Part::Kind::request:
      return sliced(payload, part.begin, part.end);
    case Part::Kind::source_address:
      return xored(address_text(source_bits(request)), payload, part.xor_at);
    case Part::Kind::source_port:
      return xored(number_text(request.source.port, 2), payload, part.xor_at);
    case Part::Kind::time_ntp:
      return ntp_text(request.time_ns);
    case Part::Kind::time_unix:
      return number_text(request.time_ns, 8);
    case Part::Kind::counter:
      return number_text(counter, part.counter_bytes);
    case Part::Kind::local_address:
      return xored(address_text(local_bits(request)), payload, part.xor_at);
    case Part::Kind::ttl:
      return number_text(request.ttl, 1);
    case Part::Kind::dscp:
      return number_text(request.tos % 256 / 4, 1);
    case Part::Kind::ecn:
      return number_text(request.tos % 4, 1);
  }
  return "";
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
  bool source = match.sources.empty() || is_in_any(source_bits(request), match.sources);
  bool port = match.destination_ports.empty();
  for (uint16_t one : match.destination_ports) port = port || one == request.destination_port;
  return source && port && kernel_says(match, request);
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

std::vector<uint8_t> interpret(const rules::Template& reply, const Request& request, uint64_t counter) {
  std::vector<uint8_t> out;
  for (const Part& part : reply.parts) {
    std::string text = part_text(part, reply, request, counter);
    out.insert(out.end(), text.begin(), text.end());
  }
  return out;
}

}  // namespace ksocket::test
