// Whom a server answers less and less: exchanges decide as a second writing of their rules does, without
// places and hash tables; and so do the flows of forwarders.
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/answer/protection/exchanges.h"
#include "core/answer/protection/flow_repeats.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/world.h"
#include "support/bucket_model.h"

namespace ksocket::fuzz {

namespace {

using Bytes = std::vector<uint8_t>;
using Seen = std::set<std::pair<uint32_t, Bytes>>;

constexpr uint64_t kMs = 1'000'000, kSecond = 1'000 * kMs;
constexpr uint32_t kPeers = Exchanges::kWays;  // each has its place

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
  std::set<uint64_t> kinds = {};
};

class Model {
 public:
  Model(RateLimit limit, uint64_t seed)
      : limit_(limit), full_(__int128{limit.burst} * kSecond), seed_(seed) {}

  bool admits(uint32_t number, const Bytes& payload, uint32_t count, uint64_t now) {
    while (peers_.size() <= number) peers_.push_back({});
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
  void said(uint32_t number, const Bytes& payload) { seen_.emplace(number, payload); }
  bool listens(uint32_t number) const { return peers_[number]->tokens < full_ / 2; }

 private:
  bool is_repeated(Peer& p, uint32_t number, const Bytes& payload, uint32_t count) {
    p.kinds.insert(payload_hash(seeded_hash(seed_, peer(number)) | 1, payload) & 511);
    if (!seen_.emplace(number, payload).second) return true;
    if (p.kinds.size() > 1) p.tokens = std::min(full_, p.tokens + __int128{count} * 128 * kSecond);
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
    uint64_t retry = gap < 10 * kMs ? 0 : p.kinds.size() >= 128 ? limit_.burst : 128;
    __int128 tokens = std::max<__int128>(p.tokens, 0) + __int128{p.heard * each + retry} * kSecond;
    uint32_t level = std::min(p.level + 1, 4u);
    p = Peer{tokens, now, now};
    p.level = level;
    return true;
  }

  RateLimit limit_;
  __int128 full_;
  uint64_t seed_;
  std::vector<std::optional<Peer>> peers_;
  Seen seen_;
};

// One of a few that are the same again and again, or one that counts.
Bytes payload_of(Random& in, uint32_t* number) {
  uint32_t kind = in.below(8);
  if (kind > 2) return Bytes(kind, static_cast<uint8_t>(kind));
  if (kind == 0) return {};
  ++*number;
  return {1, static_cast<uint8_t>(*number), static_cast<uint8_t>(*number >> 8)};
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
      Bytes payload = payload_of(in, &number);
      Exchanges::Exchange& found = exchanges.find(peer(who), now);
      bool admitted = exchanges.admits(found, payload, count, now);
      must(admitted == model.admits(who, payload, count, now), "an exchange is answered as its rules say");
      must(exchanges.listens(found) == model.listens(who), "what is said is looked at as they say");
      if (!admitted || !exchanges.listens(found) || !in.one_in(2)) continue;
      Bytes answer = payload_of(in, &number);
      exchanges.said(peer(who), answer);
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
    Bytes payload = payload_of(in, &number);
    must(flows.repeats(target, payload) == !seen.emplace(target, payload).second,
         "a repeated greeting is known");
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
