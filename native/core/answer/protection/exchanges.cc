#include "core/answer/protection/exchanges.h"

#include <algorithm>
#include <cstring>

#include "core/base/hash.h"

namespace ksocket {

namespace {

constexpr int64_t kToken = 1'000'000'000;
// So many different payloads and more are no loop's. With half as many bits as there are, what is new would
// too often look as if it had been there.
constexpr uint32_t kKindsMax = 128;
constexpr uint32_t kHeardMax = 1 << 20;  // what it earns fits 63 bits

uint64_t hash_of(uint64_t seed, std::span<const uint8_t> payload) {
  uint64_t hash = seeded_hash(seed, {payload.size()});
  for (size_t at = 0; at < payload.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, payload.data() + at, std::min<size_t>(8, payload.size() - at));
    hash = seeded_hash(hash, {word});
  }
  return hash;
}

// The tokens of a place: the fewer, the more there is to keep. All, where it is nobody's or a pause has
// passed.
int64_t tokens_at(const Exchanges::Exchange& exchange, uint64_t now_ns) {
  bool idle = exchange.peer == 0 || now_ns - exchange.latest_ns >= Exchanges::kPauseNs;
  return idle ? INT64_MAX : exchange.tokens;
}

}  // namespace

Exchanges::Exchanges(RateLimit limit, uint64_t seed)
    : limit_(limit), full_(static_cast<int64_t>(limit.burst) * kToken), seed_(seed), places_(kPlaces) {}

Exchanges::Exchange& Exchanges::find(const Address& peer, uint64_t now_ns) {
  uint64_t hash = seeded_hash(seed_, peer) | 1;  // 0 is nobody
  Exchange* set = &places_[(hash >> 32) % (kPlaces / kWays) * kWays];
  Exchange* most = set;
  for (uint32_t way = 0; way < kWays; way++) {
    if (set[way].peer == hash) return set[way];
    if (tokens_at(set[way], now_ns) > tokens_at(*most, now_ns)) most = &set[way];
  }
  *most = {.peer = hash, .tokens = full_, .latest_ns = now_ns};
  return *most;
}

bool Exchanges::admits(Exchange& exchange, std::span<const uint8_t> payload, uint32_t count,
                       uint64_t now_ns) const {
  uint64_t gap_ns = now_ns > exchange.latest_ns ? now_ns - exchange.latest_ns : 0;
  exchange.latest_ns = now_ns;
  if (gap_ns >= kPauseNs) {
    exchange = {.peer = exchange.peer, .tokens = full_, .latest_ns = now_ns};
  } else if (exchange.tokens < full_) {
    exchange.tokens = std::min<int64_t>(full_, exchange.tokens + static_cast<int64_t>(gap_ns * limit_.rate));
  }
  if (exchange.trial_ns != 0 && in_trial(exchange, count, gap_ns, now_ns)) return false;
  if (exchange.tokens < full_ / 4 && repeats(exchange, payload) && exchange.tokens < kToken) {
    exchange.trial_ns = now_ns;
    exchange.heard = 0;
    return false;
  }
  exchange.tokens -= count * kToken;
  return true;
}

// Has this payload been there before? One that has not been, behind others, fills the bucket again.
bool Exchanges::repeats(Exchange& exchange, std::span<const uint8_t> payload) const {
  uint64_t hash = hash_of(seed_, payload);
  uint64_t& word = exchange.seen[hash & 7];
  uint64_t bit = uint64_t{1} << (hash >> 3 & 63);
  if ((word & bit) != 0) return true;
  word |= bit;
  if (exchange.kinds++ > 0) exchange.tokens = std::max(exchange.tokens, full_);
  if (exchange.kinds == kKindsMax) {
    std::fill(std::begin(exchange.seen), std::end(exchange.seen), 0);
    exchange.kinds = 0;
  }
  return false;
}

bool Exchanges::in_trial(Exchange& exchange, uint32_t count, uint64_t gap_ns, uint64_t now_ns) const {
  uint64_t age_ns = now_ns - exchange.trial_ns;
  if (age_ns >= kDrainNs) {
    if (age_ns < kDrainNs + kListenNs) {
      exchange.heard = std::min(exchange.heard + count, kHeardMax);
    } else {
      int64_t earned = int64_t{exchange.heard} * kTokensForHeard + (gap_ns >= kDrainNs ? kTokensForRetry : 0);
      exchange.tokens = std::max<int64_t>(exchange.tokens, 0) + earned * kToken;
      exchange.trial_ns = 0;
      return false;
    }
  }
  return true;
}

}  // namespace ksocket
