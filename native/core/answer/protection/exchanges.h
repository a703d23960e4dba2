// Tells who only ever answers our answers, and slows that down: two servers that answer whatever comes, or
// one and itself, would go on for ever after one datagram with a forged source (CERT CA-1996-01).
//
// From outside, such a peer looks like a client that asks again as soon as it is answered. But it says the
// same again and again, for what it says was made from what we said, or it says what we said. So the rule is:
// answers to a peer (address and port) whose payloads repeat, or are ours, take tokens, `burst` at once and
// `rate` a second over time; a payload that was not there before earns kTokensForNew, and a pause of kPauseNs
// gives all of them back. Payloads are looked at only when a quarter of the tokens is left, so that a flood
// costs a subtraction for each datagram.
//
// A client may also send the same without waiting for answers, and it is no loop. That can be seen: without
// tokens comes a *trial* during which the peer is not answered. A loop ends in its first part, however many
// datagrams went round, since each was refused once. What still comes in the second, kListenNs, as often as
// before, comes by itself, and each of it earns kTokensForHeard answers. What comes more rarely was forged
// into it and earns kTokensForRetry, and so does what comes later, behind a silence: that may be a client
// that got no answer and asks once more. If it had said many things (one that counts in a byte says 256), it
// earns all.
//
// A loop with a longer round trip than the first part would pass for a client: that part is as long as
// kDrainNs at first, and twice as long in each next trial, kLevels times at most. Each earns four times what
// the one before did: who floods with one payload goes without 200 ms of answers in the first
// minute, and without a thousandth of them or less later.
//
// On the caller's clock; not synchronised.
#pragma once

#include <cstdint>
#include <span>

#include "core/answer/protection/seen_payloads.h"
#include "core/answer/protection/token_buckets.h"
#include "core/base/zeroed.h"
#include "core/socket/address.h"

namespace ksocket {

class Exchanges {
 public:
  static constexpr uint64_t kPauseNs = 1'000'000'000;
  static constexpr uint64_t kDrainNs = 10'000'000;
  static constexpr uint64_t kListenNs = 10'000'000;
  static constexpr uint32_t kLevels = 4;
  static constexpr uint32_t kTokensForHeard = 256;  // in the first trial
  static constexpr uint32_t kTokensForRetry = 128;
  static constexpr uint32_t kTokensForNew = 128;
  static constexpr uint32_t kManyKinds = 128;
  static constexpr uint32_t kWays = 4;
  static constexpr uint32_t kPlaces = 1024;  // peers that are remembered

  Exchanges(RateLimit limit, uint64_t seed);

  // An exchange with one peer. Where there are more peers than places, the one with the most tokens goes.
  struct Exchange {
    uint64_t peer = 0;   // its hash; 0: nobody's yet
    int64_t tokens = 0;  // in billionths
    uint64_t latest_ns = 0;
    uint64_t begin_ns = 0;       // when the latest trial ended, or the exchange began
    uint64_t asked = 0;          // datagrams since then
    uint64_t trial_ns = 0;       // when the trial began; 0: there is none
    uint32_t heard = 0;          // datagrams in the second part of the trial
    uint32_t level = 0;          // the trial's length
    uint32_t kinds = 0;          // bits in kind_bits
    uint64_t kind_bits[8] = {};  // of the payloads since the latest trial, by their hashes
  };

  // Stays valid until the next call.
  Exchange& find(const Address& peer, uint64_t now_ns);
  // May `count` answers to `payload` leave?
  bool admits(Exchange& exchange, std::span<const uint8_t> payload, uint32_t count, uint64_t now_ns);
  // Is what we say to this peer to be told with said()? Once less than half of the tokens is left: what comes
  // back is looked at with less than a quarter.
  bool listens(const Exchange& exchange) const { return exchange.tokens < full_ / 2; }
  // We say this: what says it, too, answers it.
  void said(const Address& peer, std::span<const uint8_t> payload);

 private:
  Exchange begun(uint64_t peer, uint64_t now_ns) const;
  bool repeats(Exchange& exchange, std::span<const uint8_t> payload, uint32_t count);
  bool in_trial(Exchange& exchange, uint32_t count, uint64_t gap_ns, uint64_t now_ns) const;
  int64_t earned(const Exchange& exchange, uint64_t gap_ns) const;

  const RateLimit limit_;
  const int64_t full_;
  const uint64_t seed_;
  Zeroed<Exchange> places_;
  SeenPayloads seen_;
};

}  // namespace ksocket
