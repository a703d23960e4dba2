#include "support/rules_encoder.h"

#include "core/answer/rules/decode.h"

namespace ksocket::test {

using namespace rules;

namespace {

class Writer {
 public:
  std::vector<uint8_t> out;

  void u8(uint32_t value) { number(value, 1); }
  void u16(uint32_t value) { number(value, 2); }
  void u32(uint32_t value) { number(value, 4); }
  void bytes(std::span<const uint8_t> in) { out.insert(out.end(), in.begin(), in.end()); }

 private:
  void number(uint32_t value, int size) {
    uint8_t in[4];
    for (int i = 0; i < 4; i++) in[i] = static_cast<uint8_t>(value >> (8 * i));
    out.insert(out.end(), in, in + size);
  }
};

void write(Writer& to, const Part& part, const Template& of) {
  to.u8(static_cast<uint8_t>(part.kind));
  switch (part.kind) {
    case Part::Kind::literal:
      to.u32(part.end - part.begin);
      return to.bytes(std::span(of.literals).subspan(part.begin, part.end - part.begin));
    case Part::Kind::request:
      to.u32(part.begin);
      return to.u32(part.end);
    case Part::Kind::source_address:
    case Part::Kind::source_port:
    case Part::Kind::local_address:
      return to.u32(part.xor_at);
    case Part::Kind::time_ntp:
    case Part::Kind::time_unix:
    case Part::Kind::ttl:
    case Part::Kind::dscp:
    case Part::Kind::ecn:
      return;
    case Part::Kind::counter:
      return to.u8(part.counter_bytes);
  }
}

void write(Writer& to, const std::vector<Cidr>& networks) {
  for (const Cidr& network : networks) {
    to.u8(network.family);
    to.u8(network.prefix_bits);
    to.bytes({network.bytes, network.family == 4 ? 4u : 16u});
  }
}

void write(Writer& to, const Rule& rule) {
  const Match& match = rule.match;
  to.u8(static_cast<uint8_t>(rule.action));
  to.u8((match.kind == Match::Payload::exact ? kFlagExact : 0) |
        (match.kind == Match::Payload::prefix ? kFlagPrefix : 0) | (rule.amplify ? kFlagAmplify : 0) |
        (match.heeds_kernel ? kFlagKernel : 0));
  to.u16(match.length_min);
  to.u16(match.length_max);
  to.u16(match.masks.size());
  to.u16(match.sources.size());
  to.u16(match.destination_ports.size());
  to.u32(match.payload.size());
  to.bytes(match.payload);
  for (const Mask& mask : match.masks) {
    to.u16(mask.at);
    to.u16(mask.mask.size());
    to.bytes(mask.mask);
    to.bytes(mask.value);
  }
  write(to, match.sources);
  for (uint16_t port : match.destination_ports) to.u16(port);
  if (match.heeds_kernel) {
    to.u8(match.ttl_min);
    to.u8(match.ttl_max);
    to.u32(static_cast<uint32_t>(match.dscps));
    to.u32(static_cast<uint32_t>(match.dscps >> 32));
    to.u8(match.ecns);
    to.u16(match.locals.size());
    write(to, match.locals);
  }
  if (rule.action != Action::reply) return;
  to.u16(rule.reply.parts.size());
  for (const Part& part : rule.reply.parts) write(to, part, rule.reply);
}

}  // namespace

// In memory of just that size, so that the address sanitizer sees what reads beyond it.
std::vector<uint8_t> encode(const RuleSpec& spec) {
  static thread_local Writer to;  // which grows once
  to.out.clear();
  to.bytes(kMagic);
  to.u16(kVersion);
  to.u8(static_cast<uint8_t>(spec.otherwise));
  to.u8(0);
  to.u32(spec.rules.size());
  for (const Rule& rule : spec.rules) write(to, rule);
  return {to.out.begin(), to.out.end()};
}

}  // namespace ksocket::test
