#include "core/xdp/compile.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/base/hash.h"
#include "core/xdp/emit_checks.h"
#include "core/xdp/emit_limits.h"
#include "core/xdp/emit_match.h"
#include "core/xdp/emit_settle.h"
#include "core/xdp/list_entries.h"
#include "core/xdp/map_specs.h"
#include "core/xdp/plan.h"

namespace ksocket::xdp {

namespace {

CompiledRules refused(const char* reason) {
  CompiledRules out;
  out.refused = reason;
  return out;
}

// What one program of the chain matches.
struct Pack {
  std::vector<PlannedRule> keyed, others;
  size_t cost = 0;
};

class Compiler {
 public:
  Compiler(const rules::RuleSpec& spec, const Protection& protection, const CompileOptions& options)
      : plan_(plan_rules(spec, options)),
        forwards_(spec.forwards > 0),
        protection_(protection),
        options_(options),
        guard_{protection.repeats, options.clock, options.seed != 0 ? options.seed : random_seed()} {}

  CompiledRules compile() {
    pack_rules();
    pack_replies();
    for (size_t i = 0; i < packs_.size(); i++) emit_matching(i);
    for (const ReplyProgram& program : replies_) {
      if (program.place != 0) emit_reply_program(program);
    }
    emit_left();
    if (failed_) return refused("a program has jumps that are too long");
    out_.rules = std::move(plan_.fates);
    out_.otherwise = std::move(plan_.otherwise_fate);
    out_.maps = map_specs(protection_, spec_rules(), std::max(spec_rules(), options_.numbers_max),
                          static_cast<uint32_t>(out_.programs.size()));
    keep_used_maps();
    out_.entries = list_entries(protection_);
    return std::move(out_);
  }

 private:
  uint32_t spec_rules() const { return std::max<uint32_t>(1, static_cast<uint32_t>(out_.rules.size())); }

  void add(const PlannedRule& rule, std::vector<PlannedRule> Pack::*to) {
    if (packs_.back().cost + rule.match_cost > kProgramCostMax) packs_.emplace_back();
    packs_.back().cost += rule.match_cost;
    (packs_.back().*to).push_back(rule);
  }

  // Those with a payload first, in the trie's order, the others behind them in theirs.
  void pack_rules() {
    std::vector<PlannedRule> keyed;
    std::ranges::copy_if(plan_.rules, std::back_inserter(keyed), &PlannedRule::keyed);
    std::ranges::stable_sort(keyed, {}, [](const PlannedRule& rule) { return rule.rule->match.payload; });
    packs_.emplace_back();
    for (const PlannedRule& rule : keyed) add(rule, &Pack::keyed);
    for (const PlannedRule& rule : plan_.rules) {
      if (!rule.keyed()) add(rule, &Pack::others);
    }
  }

  // Behind the last pack, as far as they fit.
  void pack_replies() {
    std::vector<size_t> begins;
    size_t cost = std::min(packs_.back().cost, kReplyProgramCostMax);
    for (const PlannedRule& rule : plan_.rules) {
      if (!rule.renders()) continue;
      if (begins.empty() || cost + rule.reply_cost > kReplyProgramCostMax) {
        if (!begins.empty()) cost = 0;
        begins.push_back(rendering_.size());
      }
      cost += rule.reply_cost;
      rendering_.push_back(&rule);
    }
    uint32_t place = static_cast<uint32_t>(packs_.size());
    for (size_t i = 0; i < begins.size(); i++) {
      size_t end = i + 1 < begins.size() ? begins[i + 1] : rendering_.size();
      replies_.push_back({std::span(rendering_).subspan(begins[i], end - begins[i]), i == 0 ? 0 : place++});
    }
  }

  void emit_matching(size_t i) {
    Assembler out;
    Ends ends = make_ends(out);
    Label found = out.label();
    bool last = i + 1 == packs_.size();
    if (i == 0) {
      emit_checks(out, options_, forwards_, ends);
      emit_lists(out, protection_);
      emit_no_rule(out, plan_.otherwise);
    } else {
      emit_begin(out, ends.pass);
    }
    emit_keyed_rules(out, packs_[i].keyed, ends.pass);
    emit_other_rules(out, packs_[i].others, found, ends.pass);
    if (!last) emit_tail_call(out, MapId::programs, static_cast<uint32_t>(i + 1), ends.pass);
    out.bind(found);
    if (last) {
      emit_settle(out, settling(), ends);
    } else {
      emit_tail_call(out, MapId::programs, static_cast<uint32_t>(packs_.size() - 1), ends.pass);
    }
    emit_ends(out, ends);
    finish(out, "ks_match");
  }

  void emit_reply_program(const ReplyProgram& program) {
    Assembler out;
    Ends ends = make_ends(out);
    Answer answer{out.label(), out.label()};
    emit_begin(out, ends.broken);
    emit_replies(out, program.rules, settling(), answer, ends.broken);
    emit_answer(out, options_, guard_, answer, ends.broken);
    emit_ends(out, ends);
    finish(out, "ks_reply");
  }

  Settling settling() const { return {plan_, protection_, options_, guard_, replies_}; }

  void finish(const Assembler& assembler, const char* name) {
    std::optional<Program> program = program_of(assembler, name);
    failed_ = failed_ || !program;
    if (program) out_.programs.push_back(std::move(*program));
  }

  // For who passes a datagram up before these programs see it.
  void emit_left() {
    Assembler out;
    Ends ends = make_ends(out);
    emit_ends(out, ends);
    out_.left = program_of(out, "ks_left").value_or(Program{});
  }

  void keep_used_maps() {
    auto is_used = [&](const MapSpec& map) {
      return std::ranges::any_of(out_.programs, [&](const Program& program) {
        return std::ranges::find(program.relocations, map.id, &Relocation::map) != program.relocations.end();
      });
    };
    std::erase_if(out_.maps, [&](const MapSpec& map) { return !is_used(map); });
  }

  Plan plan_;
  const bool forwards_;
  const Protection& protection_;
  const CompileOptions options_;
  const Guard guard_;
  std::vector<Pack> packs_;
  std::vector<const PlannedRule*> rendering_;
  std::vector<ReplyProgram> replies_;
  CompiledRules out_;
  bool failed_ = false;
};

}  // namespace

CompiledRules compile(const rules::RuleSpec& spec, const Protection& protection,
                      const CompileOptions& options) {
  if (!lists_fit(protection)) return refused("the lists have too many networks");
  return Compiler(spec, protection, options).compile();
}

}  // namespace ksocket::xdp
