// Rate limits as token buckets, in integers and on the caller's clock.
//
// A bucket holds up to `burst` tokens, gains `rate` of them a second, and a datagram takes one. It is kept as
// what is *missing* from it, in billionths of a token: a nanosecond gives back exactly `rate` of those, so
// that no rate is ever rounded, and a bucket nothing is missing from is like one that never was.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/zeroed.h"
#include "core/socket/address.h"

namespace ksocket {

struct RateLimit {
  static constexpr uint64_t kMax = 1'000'000'000;  // of both; billionths of a token fit 64 bits

  uint64_t rate;   // datagrams a second, 1 … kMax
  uint64_t burst;  // datagrams at once, 1 … kMax

  bool operator==(const RateLimit&) const = default;
};

// Not synchronised: each bucket belongs to one thread.
class TokenBucket {
 public:
  // How many of `wanted` datagrams there are tokens for; those are taken. A clock that goes back stands
  // still.
  uint32_t take(const RateLimit& limit, uint64_t now_ns, uint32_t wanted);
  // Billionths of a token until the bucket is full.
  uint64_t missing(const RateLimit& limit, uint64_t now_ns) const;

 private:
  uint64_t missing_ = 0;  // at updated_ns_
  uint64_t updated_ns_ = 0;
};

// The limit of a whole server.
class TotalBucket {
 public:
  explicit TotalBucket(RateLimit limit) : limit_(limit) {}

  bool take(uint64_t now_ns) { return take(now_ns, 1) == 1; }
  // How many of `wanted` datagrams pass, such as the segments of a GRO super-datagram.
  uint32_t take(uint64_t now_ns, uint32_t wanted) { return bucket_.take(limit_, now_ns, wanted); }

 private:
  RateLimit limit_;
  TokenBucket bucket_;
};

// A bucket a source: an IPv4 address, or the /64 of an IPv6 address, as whoever has one IPv6 address has
// 2^64 of them. An IPv4-mapped IPv6 address is the IPv4 address; port and zone do not count.
//
// Bounded: a set-associative table. A source that is not in it starts with a full bucket, and takes the place
// of the one in its set that the fewest tokens are missing from. So
//   - a source that keeps to its rate and burst is served, whatever others do: losing its place can only
//     give it tokens;
//   - a source over its limit does not get new tokens from a flood of spoofed sources: it keeps its place as
//     long as one of the other seven is missing fewer. With a burst of 1 all are missing about one, the
//     longest seated goes, and eight spoofed datagrams in its set, which have passed, let it send one more.
// What no such table can do is limit spoofed sources, of which each is new: that is TotalBucket's work.
class TokenBuckets {
 public:
  static constexpr uint32_t kWays = 8;
  static constexpr size_t kPlaceBytes = 32;  // as docs/protection.md says

  // `sources`: how many places, a power of two, at least kWays. `seed` keeps outsiders from aiming at one
  // set.
  TokenBuckets(RateLimit limit, uint32_t sources, uint64_t seed);

  bool take(const Address& source, uint64_t now_ns) { return take(source, now_ns, 1) == 1; }
  // How many of `wanted` datagrams pass.
  uint32_t take(const Address& source, uint64_t now_ns, uint32_t wanted);

  size_t capacity() const { return places_.size(); }

 private:
  struct Place {
    TokenBucket bucket;
    uint64_t prefix = 0;  // an IPv4 address, or the upper half of an IPv6 one
    uint8_t family = 0;   // 0: nobody's yet
  };
  static_assert(sizeof(Place) == kPlaceBytes);
  Place* find(uint64_t prefix, uint8_t family, uint64_t now_ns);

  RateLimit limit_;
  Zeroed<Place> places_;
  uint64_t set_mask_;
  uint64_t seed_;
  uint32_t turn_ = 0;  // where the search for a place begins: among equals, each in turn
};

}  // namespace ksocket
