#include "core/xdp/emit_match.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/xdp/emit_conditions.h"
#include "core/xdp/emit_size.h"

namespace ksocket::xdp {

namespace {

using Keyed = std::span<const PlannedRule>;

void emit_verdict(Assembler& out, Verdict verdict) {
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(verdict), static_cast<int32_t>(verdict));
}

// A `count` rule says that it matched; whether that counts is known once somebody decides. `full`: there is
// no place left to say so.
void emit_counting(Assembler& out, uint32_t index, Label full) {
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(counted));
  out.jump_if(r1, Condition::at_least, static_cast<int32_t>(kCountedMax), full);
  out.move(r2, r1);
  out.alu(Alu::shift_left, r2, 2);
  out.alu(Alu::add, r2, kScratch);
  out.store(Size::word, r2, KSOCKET_SCRATCH(counts), static_cast<int32_t>(index));
  out.alu(Alu::add, r1, 1);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(counted), r1);
}

void emit_decision(Assembler& out, const PlannedRule& rule) {
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(rule), static_cast<int32_t>(rule.index));
  if (rule.verdict != Verdict::reply) return emit_verdict(out, rule.verdict);
  Label refuse = out.label(), pass = out.label(), done = out.label();
  emit_size(out, *rule.rule, refuse, pass);
  emit_verdict(out, Verdict::reply);
  out.jump(done);
  out.bind(pass);
  emit_verdict(out, Verdict::pass);
  out.jump(done);
  out.bind(refuse);
  emit_verdict(out, Verdict::refuse);
  out.bind(done);
}

// `beaten`: where it goes when a smaller index has been found; `found`: when this one decides.
void emit_rule(Assembler& out, const PlannedRule& rule, Label beaten, Label found, Label next, Label pass) {
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(rule));
  out.jump_if(r1, Condition::at_most, static_cast<int32_t>(rule.index), beaten);
  emit_conditions(out, rule, next);
  if (rule.counts) return emit_counting(out, rule.index, pass);
  emit_decision(out, rule);
  out.jump(found);
}

class Trie {
 public:
  Trie(Assembler& out, Label pass) : out_(out), pass_(pass) {}

  // `keyed`: rules whose payloads have `depth` bytes in common, which this one has been found to begin with.
  void emit(Keyed keyed, size_t depth) {
    size_t common = common_bytes(keyed);
    if (common > depth) {
      require_length(common);
      emit_payload_is(out_, keyed.front().rule->match.payload, depth, common, done_);
    }
    size_t here = 0;
    while (here < keyed.size() && keyed[here].rule->match.payload.size() == common) here++;
    for (const PlannedRule& rule : keyed.first(here)) {
      Label next = out_.label();
      emit_rule(out_, rule, next, next, next, pass_);
      out_.bind(next);
    }
    Keyed below = keyed.subspan(here);
    if (below.empty()) return out_.jump(done_);
    require_length(common + 1);
    out_.load(Size::byte, r1, kScratch, KSOCKET_SCRATCH(payload) + static_cast<int32_t>(common));
    emit_children(children_of(below, common), common);
  }

  void end() { out_.bind(done_); }

 private:
  // They are sorted: what the first and the last have in common, all have.
  static size_t common_bytes(Keyed keyed) {
    const auto &first = keyed.front().rule->match.payload, &last = keyed.back().rule->match.payload;
    return static_cast<size_t>(std::ranges::mismatch(first, last).in1 - first.begin());
  }

  static std::vector<Keyed> children_of(Keyed keyed, size_t at) {
    std::vector<Keyed> out;
    while (!keyed.empty()) {
      uint8_t byte = keyed.front().rule->match.payload[at];
      size_t size = 1;
      while (size < keyed.size() && keyed[size].rule->match.payload[at] == byte) size++;
      out.push_back(keyed.first(size));
      keyed = keyed.subspan(size);
    }
    return out;
  }

  void require_length(size_t bytes) {
    out_.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(length));
    out_.jump_if(r1, Condition::less, static_cast<int32_t>(bytes), done_);
  }

  // Binary search for the byte in r1.
  void emit_children(std::span<const Keyed> children, size_t at) {
    auto byte_of = [at](Keyed child) { return child.front().rule->match.payload[at]; };
    if (children.size() == 1) {
      out_.jump_if(r1, Condition::not_equal, byte_of(children[0]), done_);
      return emit(children[0], at + 1);
    }
    size_t middle = children.size() / 2;
    Label upper = out_.label();
    out_.jump_if(r1, Condition::at_least, byte_of(children[middle]), upper);
    emit_children(children.first(middle), at);
    out_.bind(upper);
    emit_children(children.subspan(middle), at);
  }

  Assembler& out_;
  const Label pass_;
  const Label done_ = out_.label();
};

}  // namespace

void emit_keyed_rules(Assembler& out, std::span<const PlannedRule> keyed, Label pass) {
  if (keyed.empty()) return;
  Trie trie(out, pass);
  trie.emit(keyed, 0);
  trie.end();
}

void emit_other_rules(Assembler& out, std::span<const PlannedRule> others, Label found, Label pass) {
  for (const PlannedRule& rule : others) {
    Label next = out.label();
    emit_rule(out, rule, found, found, next, pass);
    out.bind(next);
  }
}

void emit_no_rule(Assembler& out, Verdict otherwise) {
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(rule), -1);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(counted), 0);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(tells), 0);
  emit_verdict(out, otherwise);
}

}  // namespace ksocket::xdp
