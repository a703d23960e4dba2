// Rules and protection as eBPF programs for XDP, which Linux runs on a frame before it makes a packet of it:
// Documentation/bpf of the kernel, RFC 9669 (the instruction set).
//
// The kernel decides what it can decide exactly as the thread would: lists, rules in their order, limits, and
// the guard against loops. Everything else it leaves as it is and passes up: what is not a plain datagram to
// the socket, and what a rule that is not compiled might match.
//
// An interface has another program, which leads here: emit_entry.h.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/answer/protection/address_set.h"
#include "core/answer/protection/token_buckets.h"
#include "core/answer/rules/rule.h"
#include "core/xdp/maps.h"

namespace ksocket::xdp {

// Lists, limits and the guard, as GuardedResponder and LoopGuard have them.
struct Protection {
  const AddressSet* deny = nullptr;
  const AddressSet* allow = nullptr;  // nullptr: everybody
  std::optional<RateLimit> per_source;
  uint32_t sources = 65536;  // places in the table of per_source
  std::optional<RateLimit> total;

  std::vector<uint16_t> service_ports;  // source ports of services that answer whatever they get
  bool services_get_replies = true;     // only no echoes
  std::optional<RateLimit> repeats;     // LoopGuard::Options::repeats
};

struct CompileOptions {
  enum class Clock : uint8_t {
    monotonic,  // bpf_ktime_get_ns: Linux 4.1
    tai,        // bpf_ktime_get_tai_ns, which follows when the time is set: Linux 6.1
    stands      // the time is Options::clock_offset_ns, for tests
  };

  uint16_t port = 0;  // the socket's
  bool ipv4 = true, ipv6 = true;
  uint8_t ttl = 64;           // of answers
  uint8_t tos = 0;            // of IPv4
  uint8_t traffic_class = 0;  // of IPv6
  Clock clock = Clock::monotonic;
  // Where in MapId::numbers each rule counts its replies, and how many places that has; empty: as they stand.
  std::vector<uint32_t> numbers;
  uint32_t numbers_max = 0;
  uint64_t seed = 0;  // of the guard's hashes, which outsiders may not foresee; 0: a random one
};

// Instructions that refer to a map by its place among the MapIds; `slot` is the first of the two of ld_imm64,
// src_reg is BPF_PSEUDO_MAP_FD or BPF_PSEUDO_MAP_VALUE already, and imm is where the descriptor goes.
struct Relocation {
  uint32_t slot;
  MapId map;
};

struct Program {
  std::string name;  // at most 15 characters
  std::vector<bpf_insn> code;
  std::vector<Relocation> relocations;
};

struct RuleFate {
  bool compiled = false;
  std::string reason;  // why not, or why it is compiled only in part; for users
};

struct CompiledRules {
  // The first is where entries lead to. The others go to their place in MapId::programs; the map may be
  // missing when there is one.
  std::vector<Program> programs;
  // Leaves a datagram to the thread, and counts it.
  Program left;
  std::vector<MapSpec> maps;  // those that are used
  std::vector<MapEntry> entries;
  std::vector<RuleFate> rules;  // as they stand in the RuleSpec
  RuleFate otherwise;
  // Not empty: nothing could be compiled, and there are no programs.
  std::string refused;
};

// All are BPF_PROG_TYPE_XDP and need no licence that the kernel asks for. Loading them takes Linux 5.18 and
// the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: the last as they compute with offsets that are
// known at run time only, in loops.
CompiledRules compile(const rules::RuleSpec& spec, const Protection& protection,
                      const CompileOptions& options);

}  // namespace ksocket::xdp
