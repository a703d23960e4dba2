// Lists and rates before a server, as they follow one another: what a list refuses takes no token, what fails
// a source's rate takes none of the server's, and of a super-datagram the first ones pass.
#include "core/answer/guarded_responder.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/sink.h"
#include "fuzz/support/world.h"
#include "support/address_lists.h"
#include "support/bucket_model.h"
#include "support/ring_memory.h"

namespace ksocket::fuzz {

namespace {

constexpr uint32_t kSources = TokenBuckets::kWays;  // each has its place

struct Deaf : Sink {
  int send(int, std::span<Message>) override { std::abort(); }
};

Address source(uint32_t number) {
  Address out;
  out.family = number % 2 == 0 ? 4 : 6;
  out.bytes[0] = 10;
  out.bytes[3] = static_cast<uint8_t>(number);
  return out;
}

struct Limits {
  std::optional<RateLimit> per_source, total;
};

class Model {
 public:
  Model(test::List deny, std::optional<test::List> allow, const Limits& limits)
      : deny_(std::move(deny)), allow_(std::move(allow)) {
    if (limits.per_source) sources_.assign(kSources, test::BucketModel(*limits.per_source));
    if (limits.total) total_.emplace(*limits.total);
  }

  // How many of them pass.
  uint32_t pass(uint32_t who, uint32_t count, uint64_t now_ns) {
    Ipv6Number number = test::number_of(source(who));
    if (test::lists(deny_, number) || (allow_ && !test::lists(*allow_, number))) {
      denied += count;
      return 0;
    }
    uint32_t left = sources_.empty() ? count : sources_[who].take(now_ns, count);
    limited += count - left;
    uint32_t passed = total_ ? total_->take(now_ns, left) : left;
    limited_total += left - passed;
    return passed;
  }

  uint64_t denied = 0, limited = 0, limited_total = 0;

 private:
  test::List deny_;
  std::optional<test::List> allow_;
  std::vector<test::BucketModel> sources_;
  std::optional<test::BucketModel> total_;
};

test::List some_sources(Random& in) {
  test::List out;
  for (uint32_t who = 0; who < kSources; who++) {
    if (in.one_in(4)) out.push_back({test::number_of(source(who)), test::number_of(source(who))});
  }
  return out;
}

std::optional<RateLimit> some_limit(Random& in) {
  if (in.one_in(3)) return std::nullopt;
  return RateLimit{1 + in.below(1000), 1 + in.below(200)};
}

Incoming datagram(Random& in, uint32_t who) {
  uint32_t length = in.below(512);
  auto segment_size = static_cast<uint16_t>(length > 1 && in.one_in(2) ? 1 + in.below(length - 1) : 0);
  return {in.below(256), length, segment_size, source(who)};
}

// What is left of it when so many pass.
void check(const Incoming& before, uint32_t passed, const Incoming& after) {
  uint32_t count = segments_of(after.length, after.segment_size);
  must(after.offset == before.offset && after.from == before.from, "it begins where it began");
  must(count == passed, "as many are left as pass");
  uint32_t each = before.segment_size != 0 ? before.segment_size : before.length;
  must(after.length == std::min(before.length, passed * each), "they are the first ones");
  must(after.segment_size == (passed == 1 ? 0 : before.segment_size), "and joined where there are several");
}

}  // namespace

void run(Random& in) {
  static TxFlush flush;
  static RxBatch batch;
  static RxRound round;
  World world(1'000'000'000'000);
  Deaf engine;
  test::CounterRow counters;
  test::List deny = some_sources(in);
  std::optional<test::List> allow;
  if (in.one_in(3)) allow = some_sources(in);
  Limits limits{some_limit(in), some_limit(in)};
  GuardedResponder guard({.deny = test::set_of(deny),
                          .allow = allow ? std::optional(test::set_of(*allow)) : std::nullopt,
                          .per_source = limits.per_source,
                          .sources = kSources,
                          .total = limits.total},
                         nullptr, counters);
  Model model(deny, allow, limits);
  for (int batches = 0; in.left() > 0 && batches < 8; batches++) {
    world.pass(in.one_in(2) ? 0 : uint64_t{in.below(65536)} * 100'000);
    std::vector<Incoming> incoming;
    std::vector<uint32_t> passed;
    for (uint32_t count = 1 + in.below(6); count > 0; count--) {
      uint32_t who = in.below(kSources);
      incoming.push_back(datagram(in, who));
      const Incoming& one = incoming.back();
      passed.push_back(model.pass(who, segments_of(one.length, one.segment_size), world.now_ns()));
    }
    std::span<const Incoming> admitted = guard.answer({engine, flush, batch, round}, nullptr, incoming);
    size_t next = 0;
    for (size_t i = 0; i < incoming.size(); i++) {
      if (passed[i] == 0) continue;
      must(next < admitted.size(), "what passes comes in");
      check(incoming[i], passed[i], admitted[next++]);
    }
    must(next == admitted.size(), "nothing else comes in");
  }
  must(counters[Counter::denied] == model.denied, "what the lists refuse is counted");
  must(counters[Counter::limited] == model.limited, "what is over a source's rate is counted");
  must(counters[Counter::limited_total] == model.limited_total, "what is over the server's rate is counted");
}

}  // namespace ksocket::fuzz
