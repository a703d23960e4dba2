// Tells flows of a ring of forwarders, two that have each other as their target for one: each passes on what
// it gets, from a new socket, so that the next one takes it for a new client. What such clients have in
// common is that the first thing they say was said by another one before.
//
// So do honest clients (a greeting is always the same), and they get a flow as long as there is room. But
// those of one host may not push out others as they like: a ring ends when the flows are used up, before
// ports of closed flows come back and it needs no new ones. Not synchronised.
#pragma once

#include <cstdint>
#include <span>

#include "core/answer/protection/seen_payloads.h"
#include "core/answer/protection/token_buckets.h"

namespace ksocket {

class FlowRepeats {
 public:
  static constexpr uint32_t kEvictionsAtOnce = 256;  // a hundredth of the ephemeral ports
  static constexpr uint32_t kHosts = 1024;           // that are remembered

  explicit FlowRepeats(RateLimit limit)
      : seed_(random_seed()),
        hosts_({limit.rate, std::min<uint64_t>(limit.burst, kEvictionsAtOnce)}, kHosts, seed_) {}

  // A new client of `target` says this. Has another one said it before?
  bool repeats(uint32_t target, std::span<const uint8_t> payload) {
    return seen_.add(payload_hash(seed_ ^ target, payload));
  }
  // May a flow be closed for such a client?
  bool may_evict(const Address& client, uint64_t now_ns) { return hosts_.take(client, now_ns); }

 private:
  const uint64_t seed_;
  SeenPayloads seen_;
  TokenBuckets hosts_;
};

}  // namespace ksocket
