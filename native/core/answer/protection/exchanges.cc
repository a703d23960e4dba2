#include "core/answer/protection/exchanges.h"

#include <algorithm>

#include "core/base/hash.h"

namespace ksocket {

namespace {

constexpr int64_t kToken = 1'000'000'000;
constexpr uint32_t kHeardMax = 1 << 16;  // what it earns fits 63 bits
// A client that sends without waiting sends no more during a trial than before, and not much less.
constexpr double kFormerRatePart = 8;

uint64_t peer_hash(uint64_t seed, const Address& peer) {
  return seeded_hash(seed, peer) | 1;  // 0 is nobody
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

Exchanges::Exchange Exchanges::begun(uint64_t peer, uint64_t now_ns) const {
  return {.peer = peer, .tokens = full_, .latest_ns = now_ns, .begin_ns = now_ns};
}

Exchanges::Exchange& Exchanges::find(const Address& peer, uint64_t now_ns) {
  uint64_t hash = peer_hash(seed_, peer);
  Exchange* set = &places_[(hash >> 32) % (kPlaces / kWays) * kWays];
  Exchange* most = set;
  for (uint32_t way = 0; way < kWays; way++) {
    if (set[way].peer == hash) return set[way];
    if (tokens_at(set[way], now_ns) > tokens_at(*most, now_ns)) most = &set[way];
  }
  *most = begun(hash, now_ns);
  return *most;
}

bool Exchanges::admits(Exchange& exchange, std::span<const uint8_t> payload, uint32_t count,
                       uint64_t now_ns) {
  uint64_t gap_ns = now_ns > exchange.latest_ns ? now_ns - exchange.latest_ns : 0;
  exchange.latest_ns = now_ns;
  if (gap_ns >= kPauseNs) {
    exchange = begun(exchange.peer, now_ns);
  } else if (exchange.tokens < full_) {
    exchange.tokens = std::min<int64_t>(full_, exchange.tokens + static_cast<int64_t>(gap_ns * limit_.rate));
  }
  if (exchange.trial_ns != 0 && in_trial(exchange, count, gap_ns, now_ns)) return false;
  exchange.asked += count;
  if (exchange.tokens < full_ / 4 && repeats(exchange, payload, count) && exchange.tokens < kToken) {
    exchange.trial_ns = now_ns;
    exchange.heard = 0;
    return false;
  }
  exchange.tokens -= count * kToken;
  return true;
}

void Exchanges::said(const Address& peer, std::span<const uint8_t> payload) {
  seen_.add(payload_hash(peer_hash(seed_, peer), payload));
}

// Has this payload been there before? One that has not, behind others, earns tokens.
bool Exchanges::repeats(Exchange& exchange, std::span<const uint8_t> payload, uint32_t count) {
  uint64_t hash = payload_hash(exchange.peer, payload);
  uint64_t& word = exchange.kind_bits[hash & 7];
  uint64_t bit = uint64_t{1} << (hash >> 3 & 63);
  if ((word & bit) == 0) exchange.kinds++;
  word |= bit;
  if (seen_.add(hash)) return true;
  if (exchange.kinds > 1) {
    exchange.tokens = std::min(full_, exchange.tokens + int64_t{count} * kTokensForNew * kToken);
  }
  return false;
}

bool Exchanges::in_trial(Exchange& exchange, uint32_t count, uint64_t gap_ns, uint64_t now_ns) const {
  uint64_t age_ns = now_ns - exchange.trial_ns;
  uint64_t drain_ns = kDrainNs << exchange.level;
  if (age_ns < drain_ns + kListenNs) {
    if (age_ns >= drain_ns) exchange.heard = std::min(exchange.heard + count, kHeardMax);
    return true;
  }
  int64_t tokens = std::max<int64_t>(exchange.tokens, 0) + earned(exchange, gap_ns) * kToken;
  uint32_t level = std::min(exchange.level + 1, kLevels);
  exchange = begun(exchange.peer, now_ns);
  exchange.tokens = tokens;
  exchange.level = level;
  return false;
}

int64_t Exchanges::earned(const Exchange& exchange, uint64_t gap_ns) const {
  double before_ns = static_cast<double>(exchange.trial_ns - exchange.begin_ns);
  double expected = static_cast<double>(exchange.asked) * kListenNs / before_ns;
  bool by_itself = exchange.heard >= expected / kFormerRatePart;
  int64_t heard = by_itself ? int64_t{kTokensForHeard} << 2 * exchange.level : kTokensForRetry;
  int64_t retry = exchange.kinds >= kManyKinds ? static_cast<int64_t>(limit_.burst) : kTokensForRetry;
  return exchange.heard * heard + (gap_ns >= kDrainNs ? retry : 0);
}

}  // namespace ksocket
