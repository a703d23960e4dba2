// Rate limits: where each source has its place the table decides as a bucket for each does, to the
// nanosecond; where there are more sources than places, who keeps to his rate is served.
#include <optional>

#include "fuzz/support/fuzz.h"
#include "support/bucket_model.h"

namespace ksocket::fuzz {

namespace {

constexpr uint32_t kPlaces = TokenBuckets::kWays;
constexpr uint32_t kSources = 24;

// IPv4, IPv4-mapped and IPv6 in turn; of one number also from elsewhere in its /64, and from other ports.
Address source(uint32_t number, uint32_t variant) {
  Address out;
  out.port = static_cast<uint16_t>(variant);
  bool ipv4 = number % 2 == 0, mapped = ipv4 && variant % 2 == 1;
  out.family = ipv4 && !mapped ? 4 : 6;
  uint8_t* at = out.bytes;
  if (mapped) {
    at[10] = at[11] = 0xff;
    at += 12;
  }
  at[0] = 10;
  at[3] = static_cast<uint8_t>(number);
  if (!ipv4) out.bytes[8 + variant % 8] = static_cast<uint8_t>(variant);
  return out;
}

uint64_t number(Random& in) {
  switch (in.below(4)) {
    case 0:
      return 1 + in.below(20);
    case 1:
      return 1 + in.below(65536);
    case 2:
      return RateLimit::kMax - in.below(2);
    default:
      return 1 + in() % RateLimit::kMax;
  }
}

uint64_t step_ns(Random& in, const RateLimit& limit) {
  uint64_t token_ns = 1'000'000'000 / limit.rate;
  switch (in.below(6)) {
    case 0:
      return token_ns;
    case 1:
      return token_ns - (token_ns > 0);
    case 2:
      return in.below(65536);
    case 3:
      return in.u64() >> in.below(64);
    default:
      return 0;
  }
}

}  // namespace

void run(Random& in) {
  RateLimit limit{number(in), number(in)};
  bool crowded = in.one_in(3);
  TokenBuckets buckets(limit, kPlaces, in());
  TotalBucket total(limit);
  test::BucketModel total_model(limit);
  std::vector<test::BucketModel> models(kSources, test::BucketModel(limit));
  bool over[kSources] = {};
  uint64_t now = in.one_in(4) ? in.u64() >> 1 : 0;
  while (in.left() > 0) {
    uint64_t step = step_ns(in, limit);
    // Where places change hands a clock that went back would be another bucket's.
    now = in.one_in(16) && !crowded ? now - std::min(now, step) : now + std::min(step, UINT64_MAX - now);
    uint32_t who = in.below(crowded ? kSources : kPlaces), wanted = in.one_in(8) ? in() : in.below(6);
    uint32_t got = buckets.take(source(who, in.below(256)), now, wanted);
    uint32_t expected = models[who].take(now, wanted);
    over[who] = over[who] || expected < wanted;
    must(got <= wanted && got <= limit.burst, "no more pass than want to, or than the burst");
    must(crowded || got == expected, "a source has its bucket");
    must(over[who] || got == wanted, "who keeps to his rate is served");
    must(total.take(now, wanted) == total_model.take(now, wanted), "the total is a bucket");
  }
  must(buckets.capacity() == kPlaces, "the table keeps its size");
}

}  // namespace ksocket::fuzz
