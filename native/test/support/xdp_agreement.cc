#include "support/xdp_agreement.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "core/answer/rule_responder.h"
#include "support/address_lists.h"
#include "support/fake_engine.h"
#include "support/ring_memory.h"
#include "support/rules_interpreter.h"
#include "support/xdp_random.h"

namespace ksocket::test {

using namespace rules;
using xdp::kPayloadBytesMax;
using Bytes = std::vector<uint8_t>;

namespace {

// What has to become of a frame.
struct Wanted {
  uint32_t verdict = XDP_PASS;
  bool refused = false;
  Verdict by;
  Bytes payload;
};

bool tells_time(const Template& reply) {
  return std::ranges::any_of(reply.parts, [](const Part& part) {
    return part.kind == Part::Kind::time_ntp || part.kind == Part::Kind::time_unix;
  });
}

Address address_of(const Bytes& ip, uint16_t port) {
  Address out;
  out.family = ip.size() == 4 ? 4 : 6;
  out.port = port;
  std::ranges::copy(ip, out.bytes);
  return out;
}

Request request_of(const Frame& frame, uint64_t time_ns) {
  return {frame.payload, address_of(frame.source, frame.source_port), frame.local_port, time_ns,
          frame.local,   static_cast<uint16_t>(kTosSaid | frame.tos), frame.ttl};
}

// The thread's responder, on an engine that keeps what it sends. There is one for each port, which gets rules
// and is left without: making one takes longer than hundreds of datagrams.
class Thread {
 public:
  static Thread& of(uint16_t port) {
    static std::map<uint16_t, std::unique_ptr<Thread>> all;
    std::unique_ptr<Thread>& one = all[port];
    if (!one) one.reset(new Thread(port));
    return *one;
  }

  void begin(const RuleSpec& spec) {
    std::vector<std::string> names;
    for (size_t i = 0; i < spec.rules.size(); i++) names.push_back("rule " + std::to_string(i));
    // What is forwarded is none of the kernel's, and nothing is asked here.
    Forwarder::Options none{.flows_max = 1};
    responder_.update(spec, names, std::vector<Forwarder::Options>(spec.forwards, none));
  }
  // Of what was counted nothing is left.
  void end() {
    responder_.update({}, {}, {});
    responder_.tick();
  }

  // None: no answer.
  std::optional<Bytes> answer(const Frame& frame) {
    PacketInfo info{};
    info.local_family = frame.local.size() == 4 ? 4 : 6;
    std::ranges::copy(frame.local, info.local);
    Incoming one{0, static_cast<uint32_t>(frame.payload.size()), 0,
                 address_of(frame.source, frame.source_port)};
    if (one.from.family == 4) {
      map_ipv4(one.from.bytes);
      one.from.family = 6;
    }
    one.metadata.tos = kTosSaid | frame.tos;
    one.metadata.ttl = frame.ttl;
    one.packet_info = &info;
    responder_.answer(host_.tools(), frame.payload.data(), {&one, 1});
    std::vector<Outgoing> sent = host_.engine.take_sent();
    if (sent.empty()) return std::nullopt;
    return Bytes(sent[0].data.begin(), sent[0].data.end());
  }

  std::vector<uint64_t> hits() const { return responder_.hits(); }

 private:
  explicit Thread(uint16_t port)
      : responder_(7, Address{.port = port, .family = 6},
                   Forwarder::Host{[](int, uint32_t) { return 0; }, [](int) {}}, false, nullptr, counters_) {}

  // Of all of them.
  struct Host {
    FakeEngine engine;
    TxFlush flush;
    RxBatch batch;
    RxRound round;

    ResponderTools tools() { return {engine, flush, batch, round}; }
  };

  static Host& host() {
    static Host one;
    return one;
  }

  Host& host_ = host();
  CounterRow counters_;
  RuleResponder responder_;
};

// Payload and lengths only.
Match relaxed(const Match& match) {
  Match out;
  out.kind = match.kind;
  out.payload = match.payload;
  out.length_min = match.length_min;
  out.length_max = match.length_max;
  for (const Mask& mask : match.masks) {
    out.length_min = std::max<uint16_t>(out.length_min, mask.at + mask.mask.size());
  }
  return out;
}

// All that protects, so that its instructions are there, and none of it ever refuses anything.
xdp::Protection unbounded() {
  static const AddressSet kNobody = set_of({"203.0.113.0-203.0.113.9", "3fff::-3fff::9"});
  static const AddressSet kEverybody = set_of({"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"});
  constexpr RateLimit kAny{RateLimit::kMax, RateLimit::kMax};
  return {.deny = &kNobody,
          .allow = &kEverybody,
          .per_source = kAny,
          .sources = 64,
          .total = kAny,
          .repeats = kAny};
}

class Comparison {
 public:
  Comparison(const RuleSpec& spec, MakeRunner make, Random& random, XdpPairs* pairs)
      : spec_(spec),
        random_(random),
        pairs_(pairs),
        options_(random_options(random)),
        entry_(random_entry(random, options_)),
        generic_(random.one_in(2)),
        guarded_(random.one_in(10)),
        compiled_(xdp::compile(spec, guarded_ ? unbounded() : xdp::Protection{}, options_)),
        kernel_(make(compiled_)),
        thread_(Thread::of(options_.port)),
        time_ns_(random.u64() >> 2),
        numbers_(spec.rules.size()),
        hits_(spec.rules.size()) {
    thread_.begin(spec);
    kernel_->set_options({.clock_offset_ns = time_ns_, .epoch_ns = time_ns_ - (uint64_t{1} << 54)});
    kernel_->enter_by(entry_);
    if (generic_) kernel_->set_generic();
    for (const auto& address : served_addresses()) {
      kernel_->set_address(address, xdp::kAddressLocal | xdp::kAddressServed);
    }
  }

  ~Comparison() { thread_.end(); }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  std::string run(int frames) {
    if (!kernel_->error().empty()) return "it is not loaded: " + kernel_->error();
    for (int i = 0; i < frames && (i == 0 || !random_.is_used_up()); i++) {
      Frame frame = random_frame(random_, spec_, options_.port, entry_);
      if (std::string wrong = compare(frame); !wrong.empty()) return wrong;
    }
    if (kernel_->hits() != hits_) return "the kernel counts other rules";
    if (thread_.hits() != hits_) return "the thread counts other rules";
    return counters_disagree();
  }

 private:
  Wanted wanted_of(const Frame& frame) {
    Wanted out;
    if (!is_plain(frame, options_, entry_) || (spec_.forwards > 0 && is_own(frame))) return out;
    Request request = request_of(frame, time_ns_);
    out.by = interpret(spec_, request);
    if (is_left(request, out.by)) return out;
    bool decided = out.by.winner != UINT32_MAX;
    Action action = decided ? spec_.rules[out.by.winner].action : spec_.otherwise;
    if (action == Action::drop) out.verdict = XDP_DROP;
    if (action == Action::echo) {
      out.verdict = XDP_TX;
      out.payload = frame.payload;
    }
    if (action != Action::reply) return out;
    const Rule& rule = spec_.rules[out.by.winner];
    out.payload = interpret(rule.reply, request, numbers_[out.by.winner]);
    size_t limit = rule.amplify ? kReplyBytesMax : frame.payload.size();
    out.refused = out.payload.size() > limit;
    if (out.refused)
      out.verdict = XDP_DROP;
    else if (out.payload.size() <= kPayloadBytesMax && is_carried(frame, out.payload.size()))
      out.verdict = XDP_TX;
    return out;
  }

  // By any path, or by that of the request.
  static bool is_carried(const Frame& frame, size_t reply_bytes) {
    size_t headers = frame.source.size() == 4 ? 28 : 48;
    return headers + reply_bytes <= 1280 || reply_bytes <= frame.payload.size() + frame.padding;
  }

  // A rule that is not compiled may match before one decides.
  bool is_left(const Request& request, const Verdict& by) const {
    if (by.counted.size() > xdp::kCountedMax) return true;
    for (size_t i = 0; i < spec_.rules.size() && i <= by.winner; i++) {
      const xdp::RuleFate& fate = compiled_.rules[i];
      if (fate.compiled) continue;
      if (fate.reason.find("more rules before it") != std::string::npos) return true;
      bool in_part = fate.reason.find("networks or masks") != std::string::npos;
      if (matches(in_part ? relaxed(spec_.rules[i].match) : spec_.rules[i].match, request)) return true;
    }
    return by.winner == UINT32_MAX && !compiled_.otherwise.compiled;
  }

  // More `count` rules match, before or behind the rule that decides, than are remembered.
  bool may_be_full(const Frame& frame) const {
    auto counts = [&](const Rule& rule) {
      return rule.action == Action::count && matches(rule.match, request_of(frame, time_ns_));
    };
    return std::ranges::count_if(spec_.rules, counts) > xdp::kCountedMax;
  }

  std::string counters_disagree() const {
    xdp::KernelCounters counted = kernel_->counters();
    if (counted.answered != counters_.answered) return "another number of answers";
    if (counted.answered_bytes != counters_.answered_bytes) return "other bytes of answers";
    if (counted.requests_bytes != counters_.requests_bytes) return "other bytes of requests";
    if (counted.rule_drops != counters_.rule_drops) return "another number of drops";
    if (counted.refused_replies != counters_.refused_replies) return "another number of refused replies";
    return counted.passed >= counters_.passed ? "" : "not all that is passed is counted";
  }

  std::string compare(const Frame& frame) {
    Wanted wanted = wanted_of(frame);
    Bytes given = frame.bytes();
    XdpRunner::Result got = kernel_->run(given);
    if (got.verdict == XDP_PASS && may_be_full(frame)) wanted = {};
    if (got.verdict != wanted.verdict)
      return "the kernel says " + std::to_string(got.verdict) + ", and " + std::to_string(wanted.verdict) +
             " is wanted " + kernel_->error();
    if (wanted.verdict == XDP_PASS) {
      bool plain = is_plain(frame, options_, entry_);
      (plain ? pairs_->passed : pairs_->flawed)++;
      counters_.passed += plain;
      return got.frame == given ? "" : "the kernel has changed what it passes";
    }
    counters_.requests_bytes += frame.payload.size();
    for (uint32_t counted : wanted.by.counted) hits_[counted]++;
    if (wanted.by.winner != UINT32_MAX) hits_[wanted.by.winner]++;
    std::optional<Bytes> answer = thread_.answer(frame);
    if (answer.has_value() != (wanted.verdict == XDP_TX)) return "the thread decides otherwise";
    if (wanted.verdict != XDP_TX) {
      (wanted.refused ? pairs_->refused : pairs_->dropped)++;
      (wanted.refused ? counters_.refused_replies : counters_.rule_drops)++;
      return "";
    }
    if (wanted.by.winner != UINT32_MAX) numbers_[wanted.by.winner]++;
    pairs_->answered++;
    counters_.answered++;
    counters_.answered_bytes += wanted.payload.size();
    bool timed = wanted.by.winner != UINT32_MAX && tells_time(spec_.rules[wanted.by.winner].reply);
    bool same = timed ? answer->size() == wanted.payload.size() : *answer == wanted.payload;
    if (!same) return "the thread answers something else";
    Frame expected = answer_to(frame, wanted.payload, options_);
    if (generic_ && is_partial(frame)) expected.checksum = Frame::Checksum::partial;
    return got.frame == expected.bytes() ? "" : "the frame is another one";
  }

  const RuleSpec& spec_;
  Random& random_;
  XdpPairs* const pairs_;
  const xdp::CompileOptions options_;
  const xdp::Entry entry_;
  const bool generic_;
  const bool guarded_;
  const xdp::CompiledRules compiled_;
  const std::unique_ptr<XdpRunner> kernel_;
  Thread& thread_;
  const uint64_t time_ns_;
  std::vector<uint64_t> numbers_, hits_;
  xdp::KernelCounters counters_;
};

}  // namespace

std::string xdp_disagreement(const RuleSpec& spec, MakeRunner make, Random& random, int frames,
                             XdpPairs* pairs) {
  return std::make_unique<Comparison>(spec, make, random, pairs)->run(frames);
}

}  // namespace ksocket::test
