// Random rules and datagrams from few bytes, few addresses and few ports, so that rules overlap and datagrams
// hit them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/answer/rules/rule.h"
#include "support/random.h"

namespace ksocket::test {

// Bytes 'a' to 'c', and now and then any.
std::vector<uint8_t> random_bytes(Random& random, uint32_t size_max);

rules::RuleSpec random_spec(Random& random, uint32_t rules_max);

// A datagram that owns its payload: in memory of just that size, so that the address sanitizer sees what
// reads beyond it.
struct Datagram {
  std::vector<uint8_t> payload;
  Address source;
  uint16_t destination_port;
  uint64_t time_ns;
  std::vector<uint8_t> local;  // as Request has it
  uint16_t tos;
  uint8_t ttl;

  rules::Request request() const { return {payload, source, destination_port, time_ns, local, tos, ttl}; }
};
// Half of them begin with a payload of the rules, so that rules with long ones are hit as well.
Datagram random_datagram(Random& random, const rules::RuleSpec& spec);

// How many inputs a test of random ones takes: KSOCKET_FUZZ_INPUTS, or 20 000.
uint64_t fuzz_inputs();

}  // namespace ksocket::test
