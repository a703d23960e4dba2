// The rules of a server as decode.h reads them: what a datagram has to be, and what becomes of it. Plain
// data, checked when it was decoded; nothing here changes afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/udp_limits.h"
#include "core/socket/address.h"

namespace ksocket::rules {

// lib/server/rules/types.ts has the same limits, and says them to users.
inline constexpr uint32_t kRulesMax = 65536;
inline constexpr size_t kEncodedBytesMax = 64 << 20;
inline constexpr uint32_t kPartsMax = 256;
inline constexpr uint32_t kMasksMax = 256;
inline constexpr uint32_t kMaskBytesMax = 256;
inline constexpr uint32_t kSourcesMax = 4096;
inline constexpr uint32_t kPortsMax = 1024;
inline constexpr uint32_t kLocalsMax = 4096;
inline constexpr uint64_t kAnyDscp = UINT64_MAX;
inline constexpr uint8_t kAnyEcn = 0xf;

// A received datagram, as rules see it. It refers to the receive buffers.
struct Request {
  std::span<const uint8_t> payload;
  Address source;
  uint16_t destination_port = 0;
  uint64_t time_ns = 0;  // since 1970, CLOCK_REALTIME
  // Of rules that ask for them (Needs); what the kernel has not said fulfils no condition.
  std::span<const uint8_t> local = {};  // the address that was asked: 4 bytes, 16, or none
  uint16_t tos = 0;                     // as Descriptor::tos
  uint8_t ttl = 0;
};

enum class Action : uint8_t { drop, deliver, echo, count, reply, forward };

// (payload[at + i] & mask[i]) == value[i] for each i. A payload too short for it does not match.
struct Mask {
  uint16_t at = 0;
  std::vector<uint8_t> mask;
  std::vector<uint8_t> value;  // as long as the mask, and within it
};

// RFC 4632, RFC 4291 section 2.3. IPv4 in the first four bytes; bits behind the prefix are 0.
struct Cidr {
  uint8_t family = 4;  // or 6
  uint8_t prefix_bits = 0;
  uint8_t bytes[16] = {};
};

// All that is given must hold. An empty list: any.
struct Match {
  enum class Payload : uint8_t { any, exact, prefix };
  Payload kind = Payload::any;
  std::vector<uint8_t> payload;
  uint16_t length_min = 0;
  uint16_t length_max = UINT16_MAX;
  std::vector<Mask> masks;                  // all of them
  std::vector<Cidr> sources;                // one of them
  std::vector<uint16_t> destination_ports;  // one of them
  // Is one of what follows given?
  bool heeds_kernel = false;
  std::vector<Cidr> locals;  // one of them
  uint8_t ttl_min = 0;
  uint8_t ttl_max = UINT8_MAX;
  uint64_t dscps = kAnyDscp;  // bit n: that code point is one of them
  uint8_t ecns = kAnyEcn;     // likewise
};

// A piece of a reply.
struct Part {
  enum class Kind : uint8_t {
    literal,
    request,
    source_address,
    source_port,
    time_ntp,
    time_unix,
    counter,
    local_address,
    ttl,
    dscp,
    ecn
  };
  static constexpr int32_t kToTheEnd = INT32_MAX;
  static constexpr int32_t kNoXor = -1;

  Kind kind = Kind::literal;
  uint8_t counter_bytes = 0;  // counter: 1, 2, 4 or 8
  int32_t begin = 0;          // literal: where in Template::literals; request: as Array.prototype.slice
  int32_t end = 0;            // likewise; kToTheEnd only for request
  int32_t xor_at = kNoXor;    // addresses and port: XORed with the request from this offset on
};

struct Template {
  std::vector<Part> parts;
  std::vector<uint8_t> literals;  // of all literal parts, one behind the other
};

struct Rule {
  Match match;
  Action action = Action::drop;
  bool amplify = false;  // the reply may be longer than the request
  uint32_t forward = 0;  // forward: how many rules before this one forward
  Template reply;
};

struct RuleSpec {
  std::vector<Rule> rules;
  Action otherwise = Action::drop;  // or deliver, echo: for what no rule matches
  uint32_t forwards = 0;            // how many rules forward
};

}  // namespace ksocket::rules
