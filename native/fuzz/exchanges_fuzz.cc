// Whom a server answers less and less: exchanges decide as a second writing of their rules does, without
// places and hash tables; and so do the flows of forwarders.
#include <algorithm>
#include <array>
#include <bitset>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/answer/protection/exchanges.h"
#include "core/answer/protection/flow_repeats.h"
#include "core/base/hash.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/world.h"
#include "support/bucket_model.h"

namespace ksocket::fuzz {

namespace {

constexpr uint64_t kMs = 1'000'000, kSecond = 1'000 * kMs;
constexpr uint32_t kPeers = Exchanges::kWays;  // each has its place

struct Payload {
  static constexpr size_t kMax = 7;

  uint8_t size = 0;
  uint8_t bytes[kMax] = {};

  bool operator==(const Payload&) const = default;
  // In memory of just that size, until the next one of that size: AddressSanitizer sees what reads beyond it.
  std::span<const uint8_t> exact() const {
    static const auto* blocks = [] {
      auto* out = new std::array<std::unique_ptr<uint8_t[]>, kMax + 1>;
      for (size_t n = 0; n <= kMax; n++) (*out)[n] = std::make_unique<uint8_t[]>(n);
      return out;
    }();
    uint8_t* block = (*blocks)[size].get();
    std::memcpy(block, bytes, size);
    return {block, size};
  }
};

// Who has said what in this input. Nothing is ever forgotten, or taken for something else; and nothing is
// allocated, or cleared for the next input.
class Seen {
 public:
  Seen() { input_++; }

  // Was it there? It is from now on.
  bool add(uint32_t who, const Payload& payload) {
    must(++count_ < kPlaces, "there is room for all that an input says");
    uint64_t bytes;
    static_assert(sizeof payload == sizeof bytes);
    std::memcpy(&bytes, &payload, sizeof bytes);
    for (uint64_t at = seeded_hash(who, {bytes});; at++) {
      Place& place = places_[at % kPlaces];
      if (place.input == input_ && !(place.who == who && place.payload == payload)) continue;
      return std::exchange(place, {input_, who, payload}).input == input_;
    }
  }

 private:
  static constexpr uint32_t kPlaces = 4096;
  struct Place {
    uint64_t input;
    uint32_t who;
    Payload payload;
  };
  static inline Place places_[kPlaces] = {};
  static inline uint64_t input_ = 0;  // one at a time
  uint32_t count_ = 0;
};

Address peer(uint32_t number) {
  Address out;
  out.family = 4;
  out.bytes[0] = 10;
  out.port = static_cast<uint16_t>(4000 + number);
  return out;
}

// One peer. Tokens are counted in billionths, in floating point that is wide enough.
struct Peer {
  __int128 tokens;
  uint64_t latest, begin;
  uint64_t asked = 0, heard = 0, trial = 0;
  uint32_t level = 0;
  std::bitset<512> kinds = {};
};

class Model {
 public:
  Model(RateLimit limit, uint64_t seed)
      : limit_(limit), full_(__int128{limit.burst} * kSecond), seed_(seed) {}

  bool admits(uint32_t number, const Payload& payload, uint32_t count, uint64_t now) {
    auto& place = peers_[number];
    if (!place || now - place->latest >= kSecond) place = Peer{full_, now, now};
    Peer& p = *place;
    uint64_t gap = now - std::exchange(p.latest, now);
    p.tokens = std::max(p.tokens, std::min(full_, p.tokens + __int128{gap} * limit_.rate));
    if (p.trial != 0 && !trial_is_over(p, count, gap, now)) return false;
    p.asked += count;
    if (p.tokens < full_ / 4 && is_repeated(p, number, payload, count) && p.tokens < kSecond) {
      p.trial = now;
      p.heard = 0;
      return false;
    }
    p.tokens -= __int128{count} * kSecond;
    return true;
  }
  void said(uint32_t number, const Payload& payload) { seen_.add(number, payload); }
  bool listens(uint32_t number) const { return peers_[number]->tokens < full_ / 2; }

 private:
  bool is_repeated(Peer& p, uint32_t number, const Payload& payload, uint32_t count) {
    p.kinds.set(payload_hash(seeded_hash(seed_, peer(number)) | 1, payload.exact()) & 511);
    if (seen_.add(number, payload)) return true;
    if (p.kinds.count() > 1) p.tokens = std::min(full_, p.tokens + __int128{count} * 128 * kSecond);
    return false;
  }

  bool trial_is_over(Peer& p, uint32_t count, uint64_t gap, uint64_t now) {
    uint64_t drained = p.trial + (10 * kMs << p.level);
    if (now < drained + 10 * kMs) {
      if (now >= drained) p.heard = std::min<uint64_t>(p.heard + count, 65536);
      return false;
    }
    double former = static_cast<double>(p.asked) * 10'000'000 / static_cast<double>(p.trial - p.begin);
    uint64_t each = p.heard >= former / 8 ? uint64_t{256} << 2 * p.level : 128;
    uint64_t retry = gap < 10 * kMs ? 0 : p.kinds.count() >= 128 ? limit_.burst : 128;
    __int128 tokens = std::max<__int128>(p.tokens, 0) + __int128{p.heard * each + retry} * kSecond;
    uint32_t level = std::min(p.level + 1, 4u);
    p = Peer{tokens, now, now};
    p.level = level;
    return true;
  }

  RateLimit limit_;
  __int128 full_;
  uint64_t seed_;
  std::array<std::optional<Peer>, kPeers> peers_;
  Seen seen_;
};

// One of a few that are the same again and again, or one that counts.
Payload payload_of(Random& in, uint32_t* number) {
  auto kind = static_cast<uint8_t>(in.below(Payload::kMax + 1));
  Payload out;
  if (kind == 0) return out;
  if (kind > 2) {
    out.size = kind;
    std::fill_n(out.bytes, kind, kind);
    return out;
  }
  ++*number;
  return {3, {1, static_cast<uint8_t>(*number), static_cast<uint8_t>(*number >> 8)}};
}

uint64_t step_ns(Random& in) {
  constexpr uint64_t kSteps[] = {0,        0,        1,         40'000,      kMs,    10 * kMs - 1,
                                 10 * kMs, 20 * kMs, 170 * kMs, kSecond - 1, kSecond};
  return in.one_in(8) ? in.below(65536) * 1000ull : kSteps[in.below(std::size(kSteps))];
}

void exchange(Random& in) {
  static constexpr uint64_t kMax = RateLimit::kMax, kSeed = 1;
  static constexpr RateLimit kLimits[] = {{100, 1000}, {10, 40},  {1, 1},      {1, 4},
                                          {7, 130},    {1, kMax}, {kMax, kMax}};
  uint32_t which = in.below(std::size(kLimits));
  Exchanges exchanges(kLimits[which], kSeed);
  Model model(kLimits[which], kSeed);
  uint64_t now = kSecond;
  uint32_t number = 0;
  for (uint32_t steps = 0; (in.left() > 0 || steps == 0) && steps < 16; steps++) {
    uint32_t who = in.below(kPeers), count = in.one_in(4) ? 1 + in.below(128) : 1;
    uint64_t step = step_ns(in);
    // A run of the same, as loops and floods are.
    for (uint32_t again = in.one_in(12) ? 1 + in.below(64) : 1; again > 0; again--) {
      now += step;
      Payload payload = payload_of(in, &number);
      Exchanges::Exchange& found = exchanges.find(peer(who), now);
      bool admitted = exchanges.admits(found, payload.exact(), count, now);
      must(admitted == model.admits(who, payload, count, now), "an exchange is answered as its rules say");
      must(exchanges.listens(found) == model.listens(who), "what is said is looked at as they say");
      if (!admitted || !exchanges.listens(found) || !in.one_in(2)) continue;
      Payload answer = payload_of(in, &number);
      exchanges.said(peer(who), answer.exact());
      model.said(who, answer);
    }
  }
}

void flows(Random& in) {
  static constexpr RateLimit kLimits[] = {{1, 10}, {50, 1000}};
  uint32_t which = in.below(std::size(kLimits));
  FlowRepeats flows(kLimits[which]);
  RateLimit of_host{kLimits[which].rate, std::min<uint64_t>(kLimits[which].burst, 256)};
  std::vector<test::BucketModel> hosts(8, test::BucketModel(of_host));
  Seen seen;
  uint32_t number = 0;
  uint64_t now = 0;
  for (int steps = 0; (in.left() > 0 || steps == 0) && steps < 32; steps++) {
    uint32_t target = in.below(3);
    Payload payload = payload_of(in, &number);
    must(flows.repeats(target, payload.exact()) == seen.add(target, payload), "a repeated greeting is known");
    Address client = peer(in.below(256));
    client.bytes[3] = static_cast<uint8_t>(in.below(8));
    now += step_ns(in);
    bool expected = hosts[client.bytes[3]].take(now, 1) == 1;
    must(flows.may_evict(client, now) == expected, "a host closes flows at its rate");
  }
}

}  // namespace

void run(Random& in) {
  World world(kSecond);  // so that the seeds of tables are the same each time
  in.one_in(4) ? flows(in) : exchange(in);
}

}  // namespace ksocket::fuzz
