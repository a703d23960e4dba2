// Answers by rules (rules/): what matches decides, and the rules can be swapped while datagrams come in.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/answer/answers.h"
#include "core/answer/forwarder.h"
#include "core/answer/responder.h"
#include "core/answer/rules/program.h"

namespace ksocket {

// What a server does at one moment: swapped as one. Made by the JavaScript thread, used by the I/O thread.
struct RuleSet {
  // Of one rule; goes on counting in the next set that has a rule of this name.
  struct Tally {
    std::atomic<uint64_t> hits{0};
    uint64_t replies = 0;  // I/O thread only
  };

  rules::Program program;
  std::vector<std::string> names;                      // of each rule
  std::vector<std::shared_ptr<Tally>> tallies;         // of each rule
  std::vector<std::shared_ptr<Forwarder>> forwarders;  // Rule::forward is the place
  std::vector<uint32_t> counted;                       // scratch for Program::match
};

class RuleResponder final : public Responder {
 public:
  // `own`: what the socket is bound to. `host`: with watch and unwatch.
  RuleResponder(int fd, const Address& own, Forwarder::Host host, bool offloads, LoopGuard* loops,
                Counters counters);

  // On the JavaScript thread. From the next batch on these rules hold. A rule of the same name keeps its
  // tally, a forwarder with the same name and options keeps its flows; the others' answers still come back
  // until they are idle.
  void update(rules::RuleSpec spec, std::vector<std::string> names, std::vector<Forwarder::Options> forwards);
  // How often each rule has matched, in their order. On the JavaScript thread.
  std::vector<uint64_t> hits() const;

  // Hand-over (rule_responder_hand_over.cc): on the JavaScript thread, under the lock of answer().
  struct Flows {
    std::vector<FlowRow> rows;
    int64_t next = 0;  // where to go on; kNoMoreFlows; or -errno
  };
  static constexpr int64_t kNoMoreFlows = INT64_MAX;
  Flows flows(int64_t from, size_t rows_max, const KnownFlows& known);
  // With `fds` a descriptor for each row, or -1; they are taken, or closed. `all`: these are all that there
  // are.
  void take_flows(std::span<const FlowRow> rows, std::span<const int32_t> fds, bool all);
  // They are read from now on.
  void begin_flows();
  // As of each forwarder.
  void stop_drops();
  void count_drops();
  // Matches and answers of each rule, in their order.
  std::vector<double> tallies();
  void set_tallies(std::span<const double> tallies);

  std::span<const Incoming> answer(const ResponderTools& tools, const uint8_t* base,
                                   std::span<const Incoming> batch) override;
  void ready(const ResponderTools& tools, uint32_t key) override;
  bool wants_ticks() const override { return true; }
  void tick() override;
  RuleResponder* by_rules() override { return this; }

 private:
  struct Run;
  void adopt_next();
  bool make_room();
  std::span<const uint8_t> asked_at(const Incoming& incoming) const;
  void decide(const ResponderTools& tools, const uint8_t* base, const Incoming& incoming);
  void reply(const ResponderTools& tools, const rules::Request& request, uint32_t index,
             const PacketInfo* asked);
  void echo(const ResponderTools& tools, const uint8_t* base, const Incoming& question, const Run& run,
            uint16_t segment_size);
  void flush_replies(const ResponderTools& tools);
  void settle(const ResponderTools& tools, const uint8_t* base, const Incoming& incoming, Run& run);

  const int fd_;
  const uint8_t family_;
  const Address own_;
  Forwarder::Host host_;
  const bool offloads_;
  const Counters counters_;

  // The JavaScript thread's.
  std::map<std::string, std::shared_ptr<RuleSet::Tally>> tallies_;
  std::map<std::string, std::shared_ptr<Forwarder>> forwarders_;
  std::vector<std::shared_ptr<RuleSet::Tally>> latest_;
  uint32_t next_key_ = 0;

  std::mutex next_mutex_;
  std::unique_ptr<RuleSet> next_;  // guarded by next_mutex_
  std::atomic<bool> has_next_{false};

  // The I/O thread's.
  std::unique_ptr<RuleSet> rules_;
  std::vector<std::shared_ptr<Forwarder>> retired_;  // of former rules, while they have flows
  uint64_t now_ns_ = 0;
  Answers echoes_;
  Answers replies_;
  std::vector<Incoming> delivered_;
  std::vector<uint8_t> scratch_;  // replies, and echoes behind them
  uint32_t scratch_used_ = 0;
};

}  // namespace ksocket
