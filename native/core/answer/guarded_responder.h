// What stands before a responder and before JavaScript: lists of addresses and rate limits (protection/). The
// kernel's filter (protection/filter.h) has sorted out most of what the lists refuse by then.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/answer/protection/address_set.h"
#include "core/answer/protection/token_buckets.h"
#include "core/answer/responder.h"

namespace ksocket {

class GuardedResponder final : public Responder {
 public:
  struct Options {
    AddressSet deny;
    std::optional<AddressSet> allow;  // none: everybody
    std::optional<RateLimit> per_source;
    uint32_t sources = 65536;  // places in the table of per_source
    std::optional<RateLimit> total;
  };

  // `inner` may be null: nobody answers, but JavaScript is protected all the same.
  GuardedResponder(Options options, std::unique_ptr<Responder> inner, Counters counters);

  std::span<const Incoming> answer(const ResponderTools& tools, const uint8_t* base,
                                   std::span<const Incoming> batch) override;
  void ready(const ResponderTools& tools, uint32_t key) override;
  // Also so that what the kernel's filter drops is counted when nothing else comes.
  bool wants_ticks() const override { return true; }
  void tick() override {
    if (inner_) inner_->tick();
  }

  // Under the same lock as answer(): from now on these, and in their place what was in force until now. Rates
  // that are as they were keep what their buckets have.
  void update(std::unique_ptr<Options>& options);

  RuleResponder* by_rules() override { return inner_ ? inner_->by_rules() : nullptr; }
  GuardedResponder* guard() override { return this; }

 private:
  bool refuses(const Address& source) const;
  void make_per_source();
  void make_total();
  uint32_t pass(const Incoming& incoming, uint64_t now_ns);

  std::unique_ptr<Options> options_;
  std::unique_ptr<Responder> inner_;
  const Counters counters_;
  std::optional<TokenBuckets> per_source_;
  std::optional<TotalBucket> total_;
  std::vector<Incoming> admitted_;
};

}  // namespace ksocket
