#include "core/answer/protection/token_buckets.h"

#include <algorithm>

#include "core/answer/protection/source.h"
#include "core/base/hash.h"

namespace ksocket {

namespace {

constexpr uint64_t kToken = 1'000'000'000;

}  // namespace

uint64_t TokenBucket::missing(const RateLimit& limit, uint64_t now_ns) const {
  uint64_t elapsed_ns = now_ns > updated_ns_ ? now_ns - updated_ns_ : 0;
  uint64_t gained;
  if (__builtin_mul_overflow(elapsed_ns, limit.rate, &gained) || gained >= missing_) return 0;
  return missing_ - gained;
}

uint32_t TokenBucket::take(const RateLimit& limit, uint64_t now_ns, uint32_t wanted) {
  missing_ = missing(limit, now_ns);
  updated_ns_ = std::max(updated_ns_, now_ns);
  uint64_t tokens = (limit.burst * kToken - missing_) / kToken;
  auto granted = static_cast<uint32_t>(std::min<uint64_t>(wanted, tokens));
  missing_ += granted * kToken;
  return granted;
}

TokenBuckets::TokenBuckets(RateLimit limit, uint32_t sources, uint64_t seed)
    : limit_(limit), places_(sources), set_mask_(sources / kWays - 1), seed_(seed) {}

uint32_t TokenBuckets::take(const Address& source, uint64_t now_ns, uint32_t wanted) {
  std::optional<uint32_t> ipv4 = ipv4_number(source);
  uint64_t prefix = ipv4 ? *ipv4 : ipv6_number(source.bytes).high;
  return find(prefix, ipv4 ? 4 : 6, now_ns)->bucket.take(limit_, now_ns, wanted);
}

// The source's place, or the one that is now its own.
TokenBuckets::Place* TokenBuckets::find(uint64_t prefix, uint8_t family, uint64_t now_ns) {
  Place* set = &places_[(seeded_hash(seed_, {prefix, family}) & set_mask_) * kWays];
  for (uint32_t way = 0; way < kWays; way++) {
    if (set[way].prefix == prefix && set[way].family == family) return &set[way];
  }
  turn_++;
  Place* fullest = nullptr;
  uint64_t least_missing = UINT64_MAX;
  for (uint32_t i = 0; i < kWays; i++) {
    Place* place = &set[(turn_ + i) % kWays];
    uint64_t missing = place->bucket.missing(limit_, now_ns);
    if (missing >= least_missing) continue;
    fullest = place;
    least_missing = missing;
  }
  *fullest = {{}, prefix, family};
  return fullest;
}

}  // namespace ksocket
