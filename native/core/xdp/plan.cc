#include "core/xdp/plan.h"

#include <algorithm>
#include <string>

#include "core/xdp/emit_size.h"

namespace ksocket::xdp {

namespace {

using rules::Action;
using rules::Match;
using rules::Part;
using rules::Rule;

constexpr size_t kRuleCostMax = 4000;

std::string too_long() {
  return "longer than " + std::to_string(kPayloadBytesMax) + " bytes";
}

size_t words(size_t bytes) {
  return (bytes + 3) / 4;
}

// Instructions for one of the networks: four for each word of an address.
size_t cost_of(const std::vector<rules::Cidr>& networks) {
  size_t out = networks.empty() ? 0 : 5;
  for (const rules::Cidr& network : networks) out += network.family == 4 ? 3 : 14;
  return out;
}

size_t payload_cost(const Match& match) {
  return 9 + 3 * words(match.payload.size());
}

size_t condition_cost(const Match& match) {
  size_t out = (match.heeds_kernel ? 16 : 0) + cost_of(match.sources) + cost_of(match.locals);
  for (const rules::Mask& mask : match.masks) out += 3 * words(mask.mask.size());
  return out;
}

// Of a rule that matches to say so: a reply's size is found then.
size_t decision_cost(const Rule& rule) {
  if (rule.action != Action::reply) return 10;
  auto slices = std::ranges::count(rule.reply.parts, Part::Kind::request, &Part::kind);
  return 20 + 14 * static_cast<size_t>(slices);
}

size_t part_cost(const Part& part) {
  switch (part.kind) {
    case Part::Kind::literal:
      return 8 + words(static_cast<size_t>(part.end - part.begin));
    case Part::Kind::source_address:
    case Part::Kind::local_address:
      return 50;
    default:
      return 40;
  }
}

size_t reply_cost(const Rule& rule) {
  if (rule.action != Action::reply || least_reply_bytes(rule.reply) > kPayloadBytesMax) return 0;
  size_t out = 30;
  for (const Part& part : rule.reply.parts) out += part_cost(part);
  return out;
}

void narrow(PlannedRule* rule) {
  const Match& match = rule->rule->match;
  uint32_t size = static_cast<uint32_t>(match.payload.size());
  rule->length_min = match.length_min;
  rule->length_max = match.length_max;
  if (rule->keyed()) rule->length_min = std::max(rule->length_min, size);
  if (match.kind == Match::Payload::exact) rule->length_max = std::min(rule->length_max, size);
  for (const rules::Mask& mask : match.masks) {
    uint32_t end = mask.at + static_cast<uint32_t>(mask.mask.size());
    rule->length_min = std::max(rule->length_min, end);
  }
}

// Why a rule that may match is left to the thread; empty: it is not.
std::string obstacle(const PlannedRule& rule) {
  if (!rule.whole) return "it has more networks or masks than fit into a program";
  switch (rule.rule->action) {
    case Action::deliver:
      return "deliver: the datagram is for JavaScript";
    case Action::forward:
      return "forward: a flow to a back end is the thread's";
    case Action::reply:
      if (rule.rule->amplify && least_reply_bytes(rule.rule->reply) > kPayloadBytesMax)
        return "the reply is " + too_long();
      if (rule.reply_cost > kRuleCostMax || decision_cost(*rule.rule) > kRuleCostMax)
        return "the reply has too many parts";
      break;
    default:
      break;
  }
  return "";
}

Verdict verdict_of(Action action) {
  switch (action) {
    case Action::drop:
      return Verdict::drop;
    case Action::echo:
      return Verdict::echo;
    case Action::reply:
      return Verdict::reply;
    default:
      return Verdict::pass;
  }
}

// Why no datagram that the kernel decides can match; empty: one can.
std::string never(const PlannedRule& rule, const CompileOptions& options) {
  const auto& ports = rule.rule->match.destination_ports;
  if (!ports.empty() && std::ranges::find(ports, options.port) == ports.end())
    return "it never matches: the socket has another port";
  if (rule.length_min > rule.length_max) return "it never matches: its lengths exclude each other";
  if (rule.length_min > kPayloadBytesMax)
    return "it matches only datagrams " + too_long() + ", which are left to the thread";
  return "";
}

PlannedRule plan_rule(const Rule& rule, uint32_t index) {
  PlannedRule out{.index = index, .rule = &rule};
  out.counts = rule.action == Action::count;
  narrow(&out);
  out.match_cost = payload_cost(rule.match) + condition_cost(rule.match) + decision_cost(rule);
  out.whole = out.match_cost <= kRuleCostMax;
  out.reply_cost = reply_cost(rule);
  return out;
}

}  // namespace

Plan plan_rules(const rules::RuleSpec& spec, const CompileOptions& options) {
  Plan out;
  out.otherwise = verdict_of(spec.otherwise);
  out.otherwise_fate.compiled = out.otherwise != Verdict::pass;
  if (!out.otherwise_fate.compiled) out.otherwise_fate.reason = "deliver: the datagram is for JavaScript";
  size_t cost = 0, largest = 0;
  bool full = false;
  for (uint32_t i = 0; i < spec.rules.size(); i++) {
    PlannedRule rule = plan_rule(spec.rules[i], i);
    RuleFate& fate = out.fates.emplace_back();
    if (full) {
      fate.reason = "there are more rules before it than fit into the programs";
      continue;
    }
    fate.reason = never(rule, options);
    fate.compiled = true;
    if (!fate.reason.empty()) continue;
    fate.reason = obstacle(rule);
    fate.compiled = fate.reason.empty();
    if (fate.compiled) {
      rule.verdict = verdict_of(rule.rule->action);
    } else {
      rule.counts = false;
      rule.reply_cost = 0;
      if (!rule.whole) rule.match_cost = payload_cost(rule.rule->match);
    }
    cost += rule.match_cost;
    // Packed into programs, they leave as much of each unused as the largest takes.
    largest = std::max(largest, rule.match_cost);
    if (cost > kMatchingProgramsMax * (kProgramCostMax - largest) || i >= kRulesMax) {
      fate = {false, "there are more rules before it than fit into the programs"};
      out.otherwise = Verdict::pass;
      out.otherwise_fate = {false, "not all rules are compiled"};
      full = true;
      continue;
    }
    out.rules.push_back(rule);
  }
  return out;
}

}  // namespace ksocket::xdp
