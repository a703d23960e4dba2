// A rate limit said the other way round, as RFC 2697 or ATM's virtual scheduling do: when would the bucket be
// full again, in parts of a token?
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/answer/protection/token_buckets.h"

namespace ksocket::test {

class BucketModel {
 public:
  explicit BucketModel(RateLimit limit) : limit_(limit) {}

  // How many of `wanted` datagrams pass.
  uint32_t take(uint64_t now_ns, uint32_t wanted) {
    latest_ns_ = std::max(latest_ns_, now_ns);  // a clock that goes back stands still
    Wide now = Wide{latest_ns_} * limit_.rate;
    Wide full_at = std::max(full_at_, now);
    auto passed =
        static_cast<uint32_t>(std::min<Wide>(wanted, (now + limit_.burst * kToken - full_at) / kToken));
    full_at_ = full_at + passed * kToken;
    return passed;
  }

 private:
  using Wide = unsigned __int128;
  static constexpr Wide kToken = 1'000'000'000;

  RateLimit limit_;
  uint64_t latest_ns_ = 0;
  Wide full_at_ = 0;
};

}  // namespace ksocket::test
