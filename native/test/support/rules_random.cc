#include "support/rules_random.h"

#include <cstdlib>

#include "support/fake_engine.h"

namespace ksocket::test {

using namespace rules;

uint32_t pick(Random& random, uint32_t below) {
  return static_cast<uint32_t>(uint64_t{random()} * below >> 32);
}

std::vector<uint8_t> random_bytes(Random& random, uint32_t size_max) {
  std::vector<uint8_t> out(pick(random, size_max + 1));
  for (uint8_t& byte : out) byte = pick(random, 16) == 0 ? pick(random, 256) : 'a' + pick(random, 3);
  return out;
}

namespace {

bool one_in(Random& random, uint32_t n) {
  return pick(random, n) == 0;
}

Address random_address(Random& random) {
  static const char* const kAddresses[] = {
      "10.0.0.1",        "10.1.2.3",    "127.0.0.1",       "192.0.2.255",    "::1", "2001:db8::1", "fe80::1",
      "::ffff:10.0.0.1", "2001:db8::2", "::ffff:10.1.2.3", "::fffe:10.0.0.1"};
  Address out = address_of(kAddresses[pick(random, std::size(kAddresses))], 1 + pick(random, 65535));
  if (one_in(random, 4)) out.bytes[pick(random, out.family == 4 ? 4 : 16)] ^= 1 << pick(random, 8);
  return out;
}

Cidr random_network(Random& random) {
  Address address = random_address(random);
  Cidr out;
  out.family = address.family;
  uint32_t bits = out.family == 4 ? 32 : 128;
  out.prefix_bits = pick(random, bits + 1);
  for (uint32_t i = 0; i < out.prefix_bits; i++) out.bytes[i / 8] |= address.bytes[i / 8] & 0x80 >> i % 8;
  return out;
}

Mask random_mask(Random& random) {
  Mask out;
  out.at = pick(random, 4);
  do out.mask = random_bytes(random, 3);
  while (out.mask.empty());
  for (uint8_t& byte : out.mask) {
    if (one_in(random, 2)) byte = 1 << pick(random, 8);
  }
  for (uint8_t byte : out.mask) out.value.push_back(byte & ('a' + pick(random, 3)));
  return out;
}

Match random_match(Random& random) {
  Match out;
  out.kind = static_cast<Match::Payload>(pick(random, 3));
  if (out.kind != Match::Payload::any) out.payload = random_bytes(random, 6);
  if (one_in(random, 5)) {
    out.length_min = pick(random, 5);
    out.length_max = one_in(random, 3) ? UINT16_MAX : out.length_min + pick(random, 5);
  }
  while (one_in(random, 5)) out.masks.push_back(random_mask(random));
  for (bool more = one_in(random, 4); more; more = one_in(random, 2))
    out.sources.push_back(random_network(random));
  for (bool more = one_in(random, 5); more; more = one_in(random, 2)) {
    out.destination_ports.push_back(1 + pick(random, 3));
  }
  return out;
}

int32_t random_offset(Random& random) {
  return one_in(random, 8) ? static_cast<int32_t>(pick(random, 131071)) - 65535
                           : static_cast<int32_t>(pick(random, 21)) - 10;
}

Part random_part(Random& random, Template* of) {
  Part out;
  out.kind = static_cast<Part::Kind>(pick(random, 7));
  switch (out.kind) {
    case Part::Kind::literal: {
      std::vector<uint8_t> bytes = random_bytes(random, 5);
      out.begin = of->literals.size();
      of->literals.insert(of->literals.end(), bytes.begin(), bytes.end());
      out.end = of->literals.size();
      break;
    }
    case Part::Kind::request:
      out.begin = random_offset(random);
      out.end = one_in(random, 3) ? Part::kToTheEnd : random_offset(random);
      break;
    case Part::Kind::source_address:
    case Part::Kind::source_port:
      out.xor_at = static_cast<int32_t>(pick(random, 8)) - 1;
      break;
    case Part::Kind::time_ntp:
    case Part::Kind::time_unix:
      break;
    case Part::Kind::counter:
      out.counter_bytes = 1 << pick(random, 4);
      break;
  }
  return out;
}

}  // namespace

RuleSpec random_spec(Random& random, uint32_t rules_max) {
  RuleSpec out;
  out.otherwise = static_cast<Action>(pick(random, 3));
  out.rules.resize(pick(random, rules_max + 1));
  for (Rule& rule : out.rules) {
    rule.match = random_match(random);
    rule.action = static_cast<Action>(pick(random, 6));
    if (rule.action == Action::forward) rule.forward = out.forwards++;
    if (rule.action != Action::reply) continue;
    rule.amplify = one_in(random, 2);
    for (uint32_t parts = pick(random, 6); parts > 0; parts--) {
      rule.reply.parts.push_back(random_part(random, &rule.reply));
    }
  }
  return out;
}

Datagram random_datagram(Random& random, const RuleSpec& spec) {
  std::vector<uint8_t> payload = random_bytes(random, 8);
  if (!spec.rules.empty() && one_in(random, 2)) {
    payload = spec.rules[pick(random, spec.rules.size())].match.payload;
    std::vector<uint8_t> more = random_bytes(random, 3);
    payload.insert(payload.end(), more.begin(), more.end());
  }
  return {{payload.begin(), payload.end()},
          random_address(random),
          static_cast<uint16_t>(1 + pick(random, 3)),
          uint64_t{random()} << 30 | random()};
}

uint64_t fuzz_inputs() {
  const char* given = std::getenv("KSOCKET_FUZZ_INPUTS");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20'000;
}

}  // namespace ksocket::test
