// Tells who only ever answers our answers, and slows that down: two servers that answer whatever comes, or
// one and itself, would go on for ever after one datagram with a forged source (CERT CA-1996-01).
//
// From outside, such a peer looks like a client that asks again as soon as it is answered. But it says the
// same again and again, for what it says was made from what we said. So the rule is: answers to a peer
// (address and port) whose payloads repeat take tokens, `burst` at once and `rate` a second over time; a
// payload that was not there before gives all of them back, and so does a pause of kPauseNs. Payloads are
// looked at only when a quarter of the tokens is left, so that a flood costs a subtraction for each datagram.
//
// A client may also send the same without waiting for answers, and it is no loop. That can be seen: without
// tokens comes a *trial* during which the peer is not answered. A loop ends in its first part, kDrainNs,
// however many datagrams went round, since each was refused once. What still comes in the second, kListenNs,
// comes by itself, and each of it earns kTokensForHeard answers: a trial takes a two-thousandth of the
// datagrams of whoever floods with one payload, and a datagram that is forged into it is worth those answers
// and no more. One that comes later, behind a silence, may be a client that got no answer and asks once more:
// it earns kTokensForRetry.
//
// On the caller's clock; not synchronised.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/answer/protection/token_buckets.h"
#include "core/socket/address.h"

namespace ksocket {

class Exchanges {
 public:
  static constexpr uint64_t kPauseNs = 1'000'000'000;
  static constexpr uint64_t kDrainNs = 10'000'000;
  static constexpr uint64_t kListenNs = 10'000'000;
  static constexpr uint32_t kTokensForHeard = 4096;
  static constexpr uint32_t kTokensForRetry = 128;
  static constexpr uint32_t kWays = 4;
  static constexpr uint32_t kPlaces = 1024;  // peers that are remembered

  Exchanges(RateLimit limit, uint64_t seed);

  // An exchange with one peer. Where there are more peers than places, the one with the most tokens goes.
  struct Exchange {
    uint64_t peer = 0;   // its hash; 0: nobody's yet
    int64_t tokens = 0;  // in billionths
    uint64_t latest_ns = 0;
    uint64_t trial_ns = 0;  // when the trial began; 0: there is none
    uint32_t heard = 0;     // datagrams in the second part of the trial
    uint32_t kinds = 0;     // bits in seen
    uint64_t seen[8] = {};  // a bit for each payload, by its hash
  };

  // Stays valid until the next call.
  Exchange& find(const Address& peer, uint64_t now_ns);
  // May `count` answers to `payload` leave?
  bool admits(Exchange& exchange, std::span<const uint8_t> payload, uint32_t count, uint64_t now_ns) const;

 private:
  bool repeats(Exchange& exchange, std::span<const uint8_t> payload) const;
  bool in_trial(Exchange& exchange, uint32_t count, uint64_t gap_ns, uint64_t now_ns) const;

  const RateLimit limit_;
  const int64_t full_;
  const uint64_t seed_;
  std::vector<Exchange> places_;
};

}  // namespace ksocket
