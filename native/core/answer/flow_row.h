// A forwarder's flow as one process tells another of it that takes the server over: both are of the same
// machine and of the same version.
#pragma once

#include <cstdint>
#include <type_traits>
#include <unordered_set>

#include "core/memory/layout.h"
#include "core/socket/address.h"

namespace ksocket {

// Of a number that JavaScript or another process has given; 0: it is none that a double holds exactly.
inline uint64_t whole(double given) {
  constexpr double kExactMax = uint64_t{1} << 53;
  return given >= 0 && given <= kExactMax ? static_cast<uint64_t>(given) : 0;
}

// JavaScript reads the first three.
struct FlowRow {
  double serial = 0;  // which it is among all of its rule, from 1 on
  double rule = 0;    // of Forwarder::rule_of()
  int32_t fd = -1;    // a copy, which is the reader's; -1: it has one
  uint32_t target = 0;
  Address client;
  uint64_t idle_ns = 0;
  uint64_t requests = 0;
  uint64_t answers = 0;
  uint8_t asked[sizeof(PacketInfo)] = {};
  uint8_t has_asked = 0;
  uint8_t hops = 0;
  uint8_t grown = 0;
  uint8_t unused = 0;
  uint32_t kernel_drops = 0;  // of those that its socket's kernel counts so many are counted
};
static_assert(std::is_trivially_copyable_v<FlowRow> && sizeof(FlowRow) % 8 == 0);

// Whose flow it is, and its serial.
struct KnownFlow {
  uint64_t rule;
  uint64_t serial;
  bool operator==(const KnownFlow& other) const { return rule == other.rule && serial == other.serial; }
};
struct KnownFlowHash {
  size_t operator()(const KnownFlow& flow) const { return seeded_hash(0, {flow.rule, flow.serial}); }
};
using KnownFlows = std::unordered_set<KnownFlow, KnownFlowHash>;

}  // namespace ksocket
