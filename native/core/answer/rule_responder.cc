#include "core/answer/rule_responder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/answer/rules/conditions.h"
#include "core/answer/rules/reply_template.h"
#include "core/base/clock.h"
#include "core/socket/options.h"

namespace ksocket {

namespace {

using rules::Action;

constexpr size_t kScratchBytes = 1 << 20;

}  // namespace

// Datagrams of a super-datagram, one behind the other, of which the same becomes: they stay joined.
struct RuleResponder::Run {
  Action action = Action::drop;
  Forwarder* forwarder = nullptr;
  uint32_t offset = 0;
  uint32_t length = 0;
  uint32_t datagrams = 0;
};

RuleResponder::RuleResponder(int fd, const Address& own, Forwarder::Host host, bool offloads,
                             LoopGuard* loops, Counters counters)
    : fd_(fd),
      family_(own.family),
      own_(own),
      host_(std::move(host)),
      offloads_(offloads),
      counters_(counters),
      echoes_(fd, family_, offloads, loops, counters),
      replies_(fd, family_, offloads, loops, counters),
      scratch_(kScratchBytes) {
  host_.make_room = [this] { return make_room(); };
  host_.loops = loops;
}

void RuleResponder::update(rules::RuleSpec spec, std::vector<std::string> names,
                           std::vector<Forwarder::Options> forwards) {
  std::map<std::string, std::shared_ptr<RuleSet::Tally>> tallies;
  std::map<std::string, std::shared_ptr<Forwarder>> forwarders;
  auto next =
      std::make_unique<RuleSet>(RuleSet{rules::Program(std::move(spec)), std::move(names), {}, {}, {}});
  for (uint32_t i = 0; i < next->program.size(); i++) {
    const std::string& name = next->names[i];
    auto kept = tallies_.find(name);
    auto tally = kept != tallies_.end() ? kept->second : std::make_shared<RuleSet::Tally>();
    next->tallies.push_back(tally);
    tallies.emplace(name, std::move(tally));
    const rules::Rule& rule = next->program.rule(i);
    if (rule.action != Action::forward) continue;
    Forwarder::Options& options = forwards[rule.forward];
    auto old = forwarders_.find(name);
    std::shared_ptr<Forwarder> forwarder = old != forwarders_.end() ? old->second : nullptr;
    if (!forwarder || !(forwarder->options() == options)) {
      uint32_t places = options.flows_max;
      // Keys of flows that may still be open are not given out again: those of the last two thousand million
      // flows.
      if (next_key_ > kResponderKeysMax - places) next_key_ = 0;
      forwarder = std::make_shared<Forwarder>(std::move(options), next_key_, host_, offloads_, counters_);
      next_key_ += places;
    }
    next->forwarders.push_back(forwarder);
    forwarders.emplace(name, std::move(forwarder));
  }
  if (host_.loops != nullptr && !forwarders.empty()) {
    set_option(fd_, family_, SocketOption::receive_ttl, 1);
  }
  next->counted.reserve(next->program.counters());
  tallies_ = std::move(tallies);
  forwarders_ = std::move(forwarders);
  latest_ = next->tallies;

  std::unique_ptr<RuleSet> unused;  // destroyed without the lock
  std::lock_guard lock(next_mutex_);
  unused = std::exchange(next_, std::move(next));
  has_next_.store(true, std::memory_order_release);
}

std::vector<uint64_t> RuleResponder::hits() const {
  std::vector<uint64_t> out;
  for (const auto& tally : latest_) out.push_back(tally->hits.load(std::memory_order_relaxed));
  return out;
}

// A batch is answered by one set of rules, whole.
void RuleResponder::adopt_next() {
  if (!has_next_.load(std::memory_order_acquire)) return;
  std::unique_ptr<RuleSet> next;
  {
    std::lock_guard lock(next_mutex_);
    next = std::move(next_);
    has_next_.store(false, std::memory_order_relaxed);
  }
  if (rules_) {
    for (auto& forwarder : rules_->forwarders) {
      auto& kept = next->forwarders;
      if (std::find(kept.begin(), kept.end(), forwarder) == kept.end())
        retired_.push_back(std::move(forwarder));
    }
  }
  rules_ = std::move(next);
}

// What former rules have left goes first.
bool RuleResponder::make_room() {
  auto has_made_room = [](const auto& forwarder) { return forwarder->make_room(); };
  return std::any_of(retired_.begin(), retired_.end(), has_made_room) ||
         std::any_of(rules_->forwarders.begin(), rules_->forwarders.end(), has_made_room);
}

std::span<const Incoming> RuleResponder::answer(const ResponderTools& tools, const uint8_t* base,
                                                std::span<const Incoming> batch) {
  adopt_next();
  delivered_.clear();
  now_ns_ = clock_ns(CLOCK_REALTIME);
  for (const Incoming& incoming : batch) decide(tools, base, incoming);
  echoes_.flush(tools, base);
  flush_replies(tools);
  for (const auto& forwarder : rules_->forwarders) forwarder->flush(tools, base);
  return delivered_;
}

// The address that the datagram was sent to. Where the socket has one of its own, nobody is asked.
std::span<const uint8_t> RuleResponder::asked_at(const Incoming& incoming) const {
  const PacketInfo* info = incoming.packet_info;
  if (info != nullptr && info->local_family != 0) return rules::ip_bytes(info->local_family, info->local);
  return is_unspecified(own_) ? std::span<const uint8_t>() : rules::ip_bytes(own_);
}

void RuleResponder::decide(const ResponderTools& tools, const uint8_t* base, const Incoming& incoming) {
  RuleSet& set = *rules_;
  std::span<const uint8_t> local = asked_at(incoming);
  Run run;
  for_each_datagram(incoming, [&](uint32_t offset, uint32_t length) {
    rules::Request request{{base + offset, length}, incoming.from,        own_.port, now_ns_, local,
                           incoming.metadata.tos,   incoming.metadata.ttl};
    uint32_t index = set.program.match(request, &set.counted);
    for (uint32_t counting : set.counted) set.tallies[counting]->hits.fetch_add(1, std::memory_order_relaxed);
    Action action = set.program.otherwise();
    Forwarder* forwarder = nullptr;
    if (index != rules::Program::kNoRule) {
      set.tallies[index]->hits.fetch_add(1, std::memory_order_relaxed);
      const rules::Rule& rule = set.program.rule(index);
      action = rule.action;
      if (action == Action::forward) forwarder = set.forwarders[rule.forward].get();
    }
    if (action == Action::reply) {
      settle(tools, base, incoming, run);
      echoes_.flush(tools, base);
      reply(tools, request, index, incoming.packet_info);
      return;
    }
    bool joins = run.datagrams > 0 && action == run.action && forwarder == run.forwarder &&
                 offset == run.offset + run.length;
    if (!joins) {
      settle(tools, base, incoming, run);
      run = {action, forwarder, offset, 0, 0};
    }
    run.length += length;
    run.datagrams++;
  });
  settle(tools, base, incoming, run);
}

void RuleResponder::settle(const ResponderTools& tools, const uint8_t* base, const Incoming& incoming,
                           Run& run) {
  if (run.datagrams == 0) return;
  uint16_t segment_size = run.datagrams > 1 ? incoming.segment_size : 0;
  switch (run.action) {
    case Action::echo:
      if (!echoes_.admits(incoming.from, {base + run.offset, first_length(run.length, segment_size)},
                          run.datagrams, LoopGuard::Kind::echo)) {
        break;
      }
      counters_.add(Counter::replies, run.datagrams);
      echo(tools, base, incoming, run, segment_size);
      break;
    case Action::deliver:
      delivered_.push_back(incoming.part(run.offset, run.length, segment_size));
      break;
    case Action::forward:
      tools.round.forwarded += run.datagrams;
      run.forwarder->forward(incoming.from, base, run.offset, run.length, segment_size, incoming.metadata.ttl,
                             clock_ns(CLOCK_MONOTONIC), incoming.packet_info);
      break;
    default:
      counters_.add(Counter::rule_drops, run.datagrams);
  }
  run.datagrams = 0;
}

// A client's answers keep their order: behind replies, which have memory of their own, an echo is copied
// there.
void RuleResponder::echo(const ResponderTools& tools, const uint8_t* base, const Incoming& question,
                         const Run& run, uint16_t segment_size) {
  if (!replies_.empty() && kScratchBytes - scratch_used_ < run.length) flush_replies(tools);
  if (replies_.empty()) {
    echoes_.add(&question.from, run.offset, run.length, segment_size, question.packet_info);
    return;
  }
  std::memcpy(scratch_.data() + scratch_used_, base + run.offset, run.length);
  replies_.add(&question.from, scratch_used_, run.length, segment_size, question.packet_info);
  scratch_used_ += run.length;
}

void RuleResponder::flush_replies(const ResponderTools& tools) {
  replies_.flush(tools, scratch_.data());
  scratch_used_ = 0;
}

void RuleResponder::reply(const ResponderTools& tools, const rules::Request& request, uint32_t index,
                          const PacketInfo* asked) {
  if (!replies_.admits(request.source, request.payload, 1, LoopGuard::Kind::reply)) return;
  const rules::Rule& rule = rules_->program.rule(index);
  size_t limit = rules::size_limit(rule, request.payload.size());
  if (kScratchBytes - scratch_used_ < limit) flush_replies(tools);
  RuleSet::Tally& tally = *rules_->tallies[index];
  size_t bytes = rules::render(rule.reply, request, tally.replies, scratch_.data() + scratch_used_, limit);
  if (bytes == rules::kDoesNotFit) {
    counters_.add(Counter::refused_replies, 1);
    return;
  }
  tally.replies++;
  counters_.add(Counter::replies, 1);
  replies_.add(&request.source, scratch_used_, static_cast<uint32_t>(bytes), 0, asked);
  scratch_used_ += static_cast<uint32_t>(bytes);
}

void RuleResponder::ready(const ResponderTools& tools, uint32_t key) {
  adopt_next();
  uint64_t now = clock_ns(CLOCK_MONOTONIC);
  for (const auto& forwarder : rules_->forwarders) {
    if (forwarder->owns(key)) return forwarder->ready(tools, key, echoes_, now);
  }
  for (const auto& forwarder : retired_) {
    if (forwarder->owns(key)) return forwarder->ready(tools, key, echoes_, now);
  }
}

void RuleResponder::tick() {
  adopt_next();
  uint64_t now = clock_ns(CLOCK_MONOTONIC);
  for (const auto& forwarder : rules_->forwarders) forwarder->expire(now);
  for (const auto& forwarder : retired_) forwarder->expire(now);
  std::erase_if(retired_, [](const auto& forwarder) { return forwarder->open() == 0; });
}

}  // namespace ksocket
