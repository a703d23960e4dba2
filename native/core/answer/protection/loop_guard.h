// Whom a server does not answer, because the answer would come back or get nowhere, and whom it answers less
// and less: see Exchanges. Every answer of a responder asks it (Answers::admits).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "core/answer/protection/exchanges.h"
#include "core/answer/protection/flow_repeats.h"
#include "core/answer/protection/local_addresses.h"
#include "core/base/hash.h"
#include "core/memory/counters.h"

namespace ksocket {

// Does what is sent to `other` come to a socket that is bound to `own`?
bool listens_on(const Address& own, const Address& other, LocalAddresses& local, uint64_t now_ns);

class LoopGuard {
 public:
  // What answers are, and where they go: back to the source, or to a place of the server's choice.
  enum class Kind : uint8_t { echo, reply, elsewhere };

  struct Options {
    Address own;  // where the server's socket is bound
    // Source ports of services that answer whatever they get, and what they get no answer of: echoes, or any.
    std::vector<uint16_t> service_ports;
    bool services_get_replies = true;
    std::optional<RateLimit> repeats;  // of Exchanges
  };

  LoopGuard(Options options, Counters counters);

  // The time of the answers that are asked for next, CLOCK_MONOTONIC or its coarse sister.
  void begin(uint64_t now_ns) { now_ns_ = now_ns; }
  // May `count` answers to what `source` has said leave?
  bool admits(const Address& source, std::span<const uint8_t> payload, uint32_t count, Kind kind);
  // Is said() to be told of the answer that was admitted last?
  bool listens() const { return exchange_ != nullptr && exchanges_->listens(*exchange_); }
  void said(const Address& to, std::span<const uint8_t> answer) { exchanges_->said(to, answer); }

  // A further socket of the server, from which it sends: what comes from there went in a circle.
  void add_own(const Address& address) { others_.insert(address); }
  void remove_own(const Address& address) { others_.erase(address); }
  bool has_own(const Address& address) const { return others_.contains(address); }
  // For flows of forwarders; null: all may have one.
  FlowRepeats* flow_repeats();

 private:
  bool is_answerable(const Address& source);
  bool is_service(const Address& source) const;

  struct AddressHash {
    uint64_t seed;
    size_t operator()(const Address& address) const { return seeded_hash(seed, address); }
  };

  const Options options_;
  const Counters counters_;
  LocalAddresses local_;
  std::unordered_set<Address, AddressHash> others_{0, AddressHash{random_seed()}};
  std::optional<Exchanges> exchanges_;
  std::optional<FlowRepeats> flow_repeats_;  // none before the first flow
  uint64_t now_ns_ = 0;

  // Datagrams of one peer come one behind the other: what was found for the latest.
  Address latest_;
  bool answerable_ = false;
  bool service_ = false;
  Exchanges::Exchange* exchange_ = nullptr;
};

}  // namespace ksocket
