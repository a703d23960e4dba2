#include "core/xdp/emit_settle.h"

#include <algorithm>

#include "core/xdp/emit_guard.h"
#include "core/xdp/emit_limits.h"
#include "core/xdp/emit_reply.h"

namespace ksocket::xdp {

namespace {

void load_verdict(Assembler& out) {
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(verdict));
}

void jump_if_verdict(Assembler& out, Condition condition, Verdict verdict, Label to) {
  load_verdict(out);
  out.jump_if(r1, condition, static_cast<int32_t>(verdict), to);
}

// r1: the rule.
void emit_hit(Assembler& out) {
  Label none = out.label();
  emit_lookup_number(out, MapId::hits, r1);
  out.jump_if(r0, Condition::equal, 0, none);
  out.load(Size::doubleword, r1, r0, 0);
  out.alu(Alu::add, r1, 1);
  out.store(Size::doubleword, r0, 0, r1);
  out.bind(none);
}

// The rule that decides, and those before it that only count.
void emit_hits(Assembler& out, const Plan& plan) {
  if (plan.rules.empty()) return;
  Label otherwise = out.label();
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(rule));
  out.move(r2, r1);
  out.alu(Alu::add, r2, 1);
  out.alu(Alu::shift_right, r2, 32);
  out.jump_if(r2, Condition::not_equal, 0, otherwise);
  emit_hit(out);
  out.bind(otherwise);
  if (std::ranges::none_of(plan.rules, &PlannedRule::counts)) return;
  Label done = out.label(), next = out.label();
  out.move(r8, 0);
  Label each = out.here();
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(counted));
  out.jump_if(r8, Condition::at_least, static_cast<int32_t>(kCountedMax), done);
  out.jump_if(r8, Condition::at_least, r1, done);
  out.move(r2, r8);
  out.alu(Alu::shift_left, r2, 2);
  out.alu(Alu::add, r2, kScratch);
  out.load(Size::word, r1, r2, KSOCKET_SCRATCH(counts));
  out.load(Size::word, r2, kScratch, KSOCKET_SCRATCH(rule));
  out.jump_if(r1, Condition::greater, r2, next);
  emit_hit(out);
  out.bind(next);
  out.alu(Alu::add, r8, 1);
  out.jump(each);
  out.bind(done);
}

// Where the thread would look who asks: services that answer whatever they get.
void emit_services(Assembler& out, const Protection& protection, Label pass) {
  if (protection.service_ports.empty()) return;
  Label answerable = out.label();
  if (protection.services_get_replies) {
    jump_if_verdict(out, Condition::not_equal, Verdict::echo, answerable);
  } else {
    jump_if_verdict(out, Condition::less, Verdict::echo, answerable);
  }
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(source_port));
  for (uint16_t port : protection.service_ports) out.jump_if(r1, Condition::equal, port, pass);
  out.bind(answerable);
}

// An echo is as long as the request; both need room for headers only where the frame is shorter.
void emit_room_for_answer(Assembler& out, Label pass) {
  Label sized = out.label(), none = out.label();
  jump_if_verdict(out, Condition::equal, Verdict::reply, sized);
  jump_if_verdict(out, Condition::not_equal, Verdict::echo, none);
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(length));
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(reply_bytes), r1);
  out.bind(sized);
  emit_room(out, pass);
  out.bind(none);
}

void emit_drop(Assembler& out, size_t counter) {
  emit_counts(out, {{counter}});
  out.move(r0, XDP_DROP);
  out.exit();
}

// Binary search for the rule in r1, which is one of them.
template <class Leaf>
void emit_search(Assembler& out, std::span<const uint32_t> firsts, size_t from, size_t to, Leaf&& leaf) {
  if (to - from == 1) return leaf(from);
  size_t middle = from + (to - from) / 2;
  Label upper = out.label();
  out.jump_if(r1, Condition::at_least, static_cast<int32_t>(firsts[middle]), upper);
  emit_search(out, firsts, from, middle, leaf);
  out.bind(upper);
  emit_search(out, firsts, middle, to, leaf);
}

void emit_dispatch(Assembler& out, const Settling& settling, const Answer& answer, Label broken) {
  if (settling.replies.empty()) return out.jump(broken);
  std::vector<uint32_t> firsts;
  for (const ReplyProgram& program : settling.replies) firsts.push_back(program.rules.front()->index);
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(rule));
  emit_search(out, firsts, 0, firsts.size(), [&](size_t i) {
    const ReplyProgram& program = settling.replies[i];
    if (program.place != 0) return emit_tail_call(out, MapId::programs, program.place, broken);
    emit_replies(out, program.rules, settling, answer, broken);
  });
}

}  // namespace

void emit_replies(Assembler& out, std::span<const PlannedRule* const> rules, const Settling& settling,
                  const Answer& answer, Label broken) {
  std::vector<uint32_t> firsts;
  for (const PlannedRule* rule : rules) firsts.push_back(rule->index);
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(rule));
  emit_search(out, firsts, 0, firsts.size(), [&](size_t i) {
    emit_render(out, *rules[i], settling.options, broken);
    out.jump(answer.reply);
  });
}

void emit_settle(Assembler& out, const Settling& settling, const Ends& ends) {
  Label answers = out.label(), refuses = out.label();
  Answer answer{out.label(), out.label()};
  jump_if_verdict(out, Condition::equal, Verdict::pass, ends.pass);
  emit_services(out, settling.protection, ends.pass);
  emit_room_for_answer(out, ends.pass);
  emit_limits(out, settling.protection, settling.options.clock, ends.pass);
  emit_hits(out, settling.plan);
  emit_counts(out, {{offsetof(KernelCounters, requests_bytes), KSOCKET_SCRATCH(length)}});
  jump_if_verdict(out, Condition::not_equal, Verdict::drop, answers);
  emit_drop(out, offsetof(KernelCounters, rule_drops));
  out.bind(answers);
  emit_guard(out, settling.guard);
  jump_if_verdict(out, Condition::equal, Verdict::refuse, refuses);
  out.jump_if(r1, Condition::equal, static_cast<int32_t>(Verdict::echo), answer.echo);
  emit_dispatch(out, settling, answer, ends.broken);
  out.bind(refuses);
  emit_drop(out, offsetof(KernelCounters, refused_replies));
  emit_answer(out, settling.options, settling.guard, answer, ends.broken);
}

}  // namespace ksocket::xdp
