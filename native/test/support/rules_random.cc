#include "support/rules_random.h"

#include <cstdlib>

#include "core/answer/rules/conditions.h"
#include "support/fake_engine.h"

namespace ksocket::test {

using namespace rules;

namespace {

void append_random(Random& random, uint32_t size_max, std::vector<uint8_t>* to) {
  size_t size = to->size();
  to->resize(size + random.below(size_max + 1));
  for (; size < to->size(); size++)
    (*to)[size] = random.below(16) == 0 ? random.below(256) : 'a' + random.below(3);
}

}  // namespace

std::vector<uint8_t> random_bytes(Random& random, uint32_t size_max) {
  std::vector<uint8_t> out;
  append_random(random, size_max, &out);
  return out;
}

namespace {

Address random_address(Random& random) {
  static const Address kAddresses[] = {address_of("10.0.0.1", 0),
                                       address_of("10.1.2.3", 0),
                                       address_of("127.0.0.1", 0),
                                       address_of("192.0.2.255", 0),
                                       address_of("::1", 0),
                                       address_of("2001:db8::1", 0),
                                       address_of("fe80::1", 0),
                                       address_of("::ffff:10.0.0.1", 0),
                                       address_of("2001:db8::2", 0),
                                       address_of("::ffff:10.1.2.3", 0),
                                       address_of("::fffe:10.0.0.1", 0)};
  Address out = kAddresses[random.below(std::size(kAddresses))];
  out.port = static_cast<uint16_t>(1 + random.below(65535));
  if (random.one_in(4)) out.bytes[random.below(out.family == 4 ? 4 : 16)] ^= 1 << random.below(8);
  return out;
}

Cidr random_network(Random& random) {
  Address address = random_address(random);
  Cidr out;
  out.family = address.family;
  uint32_t bits = out.family == 4 ? 32 : 128;
  out.prefix_bits = random.below(bits + 1);
  for (int i = 0, left = out.prefix_bits; left > 0; i++, left -= 8) {
    out.bytes[i] = address.bytes[i] & (left < 8 ? 0xff00 >> left : 0xff);
  }
  return out;
}

Mask random_mask(Random& random) {
  Mask out;
  out.at = random.below(4);
  do out.mask = random_bytes(random, 3);
  while (out.mask.empty());
  for (uint8_t& byte : out.mask) {
    if (random.one_in(2)) byte = 1 << random.below(8);
  }
  for (uint8_t byte : out.mask) out.value.push_back(byte & ('a' + random.below(3)));
  return out;
}

// What the kernel says has few values, too: a few hops, a few code points.
void add_kernel_conditions(Random& random, Match* to) {
  to->heeds_kernel = true;
  for (bool more = random.one_in(2); more; more = random.one_in(2))
    to->locals.push_back(random_network(random));
  if (random.one_in(2)) {
    to->ttl_min = random.below(4);
    to->ttl_max = random.one_in(3) ? UINT8_MAX : to->ttl_min + random.below(3);
  }
  if (random.one_in(2)) to->dscps = uint64_t{1} << random.below(4) | uint64_t{1} << (60 + random.below(4));
  if (random.one_in(2)) to->ecns = 1 + random.below(15);
  bool says = !to->locals.empty() || to->ttl_min > 0 || to->ttl_max < UINT8_MAX || to->dscps != kAnyDscp ||
              to->ecns != kAnyEcn;
  if (!says) to->ttl_min = 1;
}

Match random_match(Random& random) {
  Match out;
  out.kind = static_cast<Match::Payload>(random.below(3));
  if (out.kind != Match::Payload::any) out.payload = random_bytes(random, 6);
  if (random.one_in(5)) {
    out.length_min = random.below(5);
    out.length_max = random.one_in(3) ? UINT16_MAX : out.length_min + random.below(5);
  }
  while (random.one_in(5)) out.masks.push_back(random_mask(random));
  for (bool more = random.one_in(4); more; more = random.one_in(2))
    out.sources.push_back(random_network(random));
  for (bool more = random.one_in(5); more; more = random.one_in(2)) {
    out.destination_ports.push_back(1 + random.below(3));
  }
  if (random.one_in(4)) add_kernel_conditions(random, &out);
  return out;
}

int32_t random_offset(Random& random) {
  return random.one_in(8) ? static_cast<int32_t>(random.below(131071)) - 65535
                          : static_cast<int32_t>(random.below(21)) - 10;
}

Part random_part(Random& random, Template* of) {
  Part out;
  out.kind = static_cast<Part::Kind>(random.below(11));
  switch (out.kind) {
    case Part::Kind::literal: {
      out.begin = of->literals.size();
      append_random(random, 5, &of->literals);
      out.end = of->literals.size();
      break;
    }
    case Part::Kind::request:
      out.begin = random_offset(random);
      out.end = random.one_in(3) ? Part::kToTheEnd : random_offset(random);
      break;
    case Part::Kind::source_address:
    case Part::Kind::source_port:
    case Part::Kind::local_address:
      out.xor_at = static_cast<int32_t>(random.below(8)) - 1;
      break;
    case Part::Kind::time_ntp:
    case Part::Kind::time_unix:
    case Part::Kind::ttl:
    case Part::Kind::dscp:
    case Part::Kind::ecn:
      break;
    case Part::Kind::counter:
      out.counter_bytes = 1 << random.below(4);
      break;
  }
  return out;
}

}  // namespace

RuleSpec random_spec(Random& random, uint32_t rules_max) {
  RuleSpec out;
  out.otherwise = static_cast<Action>(random.below(3));
  out.rules.resize(random.below(rules_max + 1));
  for (Rule& rule : out.rules) {
    rule.match = random_match(random);
    rule.action = static_cast<Action>(random.below(6));
    if (rule.action == Action::forward) rule.forward = out.forwards++;
    if (rule.action != Action::reply) continue;
    rule.amplify = random.one_in(2);
    for (uint32_t parts = random.below(6); parts > 0; parts--) {
      rule.reply.parts.push_back(random_part(random, &rule.reply));
    }
  }
  return out;
}

Datagram random_datagram(Random& random, const RuleSpec& spec) {
  static thread_local std::vector<uint8_t> payload;  // which grows once
  payload.clear();
  append_random(random, 8, &payload);
  if (!spec.rules.empty() && random.one_in(2)) {
    payload = spec.rules[random.below(spec.rules.size())].match.payload;
    append_random(random, 3, &payload);
  }
  Address source = random_address(random), local = random_address(random);
  auto local_ip = random.one_in(8) ? std::span<const uint8_t>() : ip_bytes(local);
  uint16_t dscp = random.below(4) + (random.one_in(2) ? 60 : 0);
  uint16_t tos = random.one_in(8) ? 0 : kTosSaid | dscp << 2 | random.below(4);
  return {{payload.begin(), payload.end()},           source,
          static_cast<uint16_t>(1 + random.below(3)), random.u64() >> 2,
          {local_ip.begin(), local_ip.end()},         tos,
          static_cast<uint8_t>(random.below(6))};
}

uint64_t fuzz_inputs() {
  const char* given = std::getenv("KSOCKET_FUZZ_INPUTS");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20'000;
}

}  // namespace ksocket::test
