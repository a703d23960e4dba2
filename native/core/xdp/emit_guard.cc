#include "core/xdp/emit_guard.h"

#include <algorithm>

#include "core/answer/protection/exchanges.h"

namespace ksocket::xdp {

namespace {

constexpr int64_t kToken = 1'000'000'000;
constexpr int32_t kHeardMax = 1 << 16;  // as in exchanges.cc
constexpr int32_t kFormerRatePart = 8;
// Times kHeardMax and kFormerRatePart it fits 63 bits; of what is longer the lowest bits do not count.
constexpr int64_t kHoursNs = int64_t{1} << 44;

// On the stack.
constexpr int32_t kPeerKey = -24, kNewExchange = kPeerKey - static_cast<int32_t>(sizeof(Exchange));
constexpr int32_t kHashKey = kNewExchange - 8, kGap = kHashKey - 8, kSeenValue = kGap - 8;

// The exchange, and the time.
constexpr Register kExchange = r8, kNow = r9;

#define KSOCKET_EXCHANGE(field) static_cast<int32_t>(offsetof(Exchange, field))

void get(Assembler& out, Register to, int32_t field) {
  out.load(Size::doubleword, to, kExchange, field);
}
void set(Assembler& out, int32_t field, Register from) {
  out.store(Size::doubleword, kExchange, field, from);
}
void set(Assembler& out, int32_t field, int32_t value) {
  out.store(Size::doubleword, kExchange, field, value);
}

int64_t full(const Guard& guard) {
  return static_cast<int64_t>(guard.repeats->burst) * kToken;
}

void move_number(Assembler& out, Register to, int64_t number) {
  out.move64(to, static_cast<uint64_t>(number));
}

void emit_xor_shifted(Assembler& out, int32_t bits) {
  out.move(r1, r0);
  out.alu(Alu::shift_right, r1, bits);
  out.alu(Alu::bit_xor, r0, r1);
}

void emit_multiply(Assembler& out, uint64_t factor) {
  out.move64(r1, factor);
  out.alu(Alu::mul, r0, r1);
}

// seeded_hash: r0 with r1 in it. Uses r2.
void emit_mix(Assembler& out) {
  out.alu(Alu::add, r0, r1);
  out.move64(r2, 0x9e3779b97f4a7c15);
  out.alu(Alu::add, r0, r2);
  emit_xor_shifted(out, 30);
  emit_multiply(out, 0xbf58476d1ce4e5b9);
  emit_xor_shifted(out, 27);
  emit_multiply(out, 0x94d049bb133111eb);
  emit_xor_shifted(out, 31);
}

// r0: the hash of what the peer says, or is told, as Exchanges makes it: `length_field` bytes at `offset` of
// the Scratch, with 8 zeroes behind them. Uses r1 to r5.
void emit_hash(Assembler& out, uint64_t seed, int32_t offset, int32_t length_field) {
  out.move64(r0, seed);
  for (int32_t field : {KSOCKET_PSEUDO(source), KSOCKET_PSEUDO(source) + 8}) {
    out.load(Size::doubleword, r1, kScratch, field);
    emit_mix(out);
  }
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(source_port));
  emit_mix(out);
  out.alu(Alu::bit_or, r0, 1);
  out.load(Size::word, r1, kScratch, length_field);
  emit_mix(out);
  Label done = out.label();
  out.move(r3, 0);
  Label each = out.here();
  out.load(Size::word, r4, kScratch, length_field);
  out.jump_if(r3, Condition::at_least, kPayloadBytesMax, done);
  out.jump_if(r3, Condition::at_least, r4, done);
  out.move(r5, kScratch);
  out.alu(Alu::add, r5, r3);
  out.load(Size::doubleword, r1, r5, offset);
  emit_mix(out);
  out.alu(Alu::add, r3, 8);
  out.jump(each);
  out.bind(done);
}

// Puts the hash in r0 among those that were seen; r0: it was there already, if not 0.
void emit_seen(Assembler& out) {
  Label known = out.label();
  auto point_to = [&](Register to, int32_t at) {
    out.move(to, Register::fp);
    out.alu(Alu::add, to, at);
  };
  out.store(Size::doubleword, Register::fp, kHashKey, r0);
  point_to(r2, kHashKey);
  emit_lookup(out, MapId::seen);
  out.jump_if(r0, Condition::not_equal, 0, known);
  out.store(Size::doubleword, Register::fp, kSeenValue, 0);
  put_map(out, r1, MapId::seen);
  point_to(r2, kHashKey);
  point_to(r3, kSeenValue);
  out.move(r4, BPF_ANY);
  out.call(Helper::map_update_elem);
  out.move(r0, 0);
  out.bind(known);
}

// The exchange as if it began now. `kept`: fields that stay.
void emit_begun(Assembler& out, std::initializer_list<int32_t> kept) {
  for (int32_t field = 0; field < static_cast<int32_t>(sizeof(Exchange)); field += 8) {
    if (std::find(kept.begin(), kept.end(), field) == kept.end()) set(out, field, 0);
  }
  set(out, KSOCKET_EXCHANGE(latest_ns), kNow);
  set(out, KSOCKET_EXCHANGE(begin_ns), kNow);
}

// kExchange, a new one if there was none.
void emit_find(Assembler& out, const Guard& guard, Label missing) {
  Label found = out.label();
  for (int32_t at = 0; at < 16; at += 4) {
    out.load(Size::word, r1, kScratch, KSOCKET_PSEUDO(source) + at);
    out.store(Size::word, Register::fp, kPeerKey + at, r1);
  }
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(source_port));
  out.store(Size::word, Register::fp, kPeerKey + 16, r1);
  auto look_up = [&] {
    out.move(r2, Register::fp);
    out.alu(Alu::add, r2, kPeerKey);
    emit_lookup(out, MapId::exchanges);
    out.move(kExchange, r0);
  };
  look_up();
  out.jump_if(kExchange, Condition::not_equal, 0, found);
  out.move(kExchange, Register::fp);
  out.alu(Alu::add, kExchange, kNewExchange);
  emit_begun(out, {});
  move_number(out, r1, full(guard));
  set(out, KSOCKET_EXCHANGE(tokens), r1);
  put_map(out, r1, MapId::exchanges);
  out.move(r2, Register::fp);
  out.alu(Alu::add, r2, kPeerKey);
  out.move(r3, kExchange);
  out.move(r4, BPF_NOEXIST);
  out.call(Helper::map_update_elem);
  look_up();
  out.jump_if(kExchange, Condition::equal, 0, missing);
  out.bind(found);
}

// What time has given back.
void emit_regain(Assembler& out, const Guard& guard) {
  Label forward = out.label(), pause = out.label(), done = out.label();
  get(out, r1, KSOCKET_EXCHANGE(latest_ns));
  out.move(r2, kNow);
  out.alu(Alu::sub, r2, r1);
  out.jump_if(kNow, Condition::greater, r1, forward);
  out.move(r2, 0);
  out.bind(forward);
  out.store(Size::doubleword, Register::fp, kGap, r2);
  set(out, KSOCKET_EXCHANGE(latest_ns), kNow);
  move_number(out, r3, full(guard));
  out.jump_if(r2, Condition::at_least, static_cast<int32_t>(Exchanges::kPauseNs), pause);
  get(out, r1, KSOCKET_EXCHANGE(tokens));
  out.jump_if(r1, Condition::signed_at_least, r3, done);  // what a trial has earned may be more
  out.alu(Alu::mul, r2, static_cast<int32_t>(guard.repeats->rate));
  out.alu(Alu::add, r1, r2);
  Label less = out.label();
  out.jump_if(r1, Condition::signed_at_most, r3, less);
  out.move(r1, r3);
  out.bind(less);
  set(out, KSOCKET_EXCHANGE(tokens), r1);
  out.jump(done);
  out.bind(pause);
  emit_begun(out, {});
  set(out, KSOCKET_EXCHANGE(tokens), r3);
  out.bind(done);
}

// r1: the answers that the trial has earned (Exchanges::earned), in whole numbers.
void emit_earned(Assembler& out, const Guard& guard) {
  Label hours = out.label(), rarely = out.label(), heard = out.label(), many = out.label(),
        done = out.label();
  get(out, r2, KSOCKET_EXCHANGE(trial_ns));
  get(out, r3, KSOCKET_EXCHANGE(begin_ns));
  out.alu(Alu::sub, r2, r3);
  get(out, r3, KSOCKET_EXCHANGE(asked));
  out.alu(Alu::mul, r3, static_cast<int32_t>(Exchanges::kListenNs));
  move_number(out, r4, kHoursNs);
  out.jump_if(r2, Condition::less, r4, hours);
  out.alu(Alu::shift_right, r2, 10);
  out.alu(Alu::shift_right, r3, 10);
  out.bind(hours);
  get(out, r1, KSOCKET_EXCHANGE(heard));
  out.alu(Alu::mul, r2, r1);
  out.alu(Alu::mul, r2, kFormerRatePart);
  out.jump_if(r2, Condition::less, r3, rarely);
  get(out, r2, KSOCKET_EXCHANGE(level));
  out.alu(Alu::shift_left, r2, 1);
  out.alu(Alu::mul, r1, static_cast<int32_t>(Exchanges::kTokensForHeard));
  out.alu(Alu::shift_left, r1, r2);
  out.jump(heard);
  out.bind(rarely);
  out.alu(Alu::mul, r1, static_cast<int32_t>(Exchanges::kTokensForRetry));
  out.bind(heard);
  out.load(Size::doubleword, r2, Register::fp, kGap);
  out.jump_if(r2, Condition::less, static_cast<int32_t>(Exchanges::kDrainNs), done);
  get(out, r2, KSOCKET_EXCHANGE(kinds));
  out.jump_if(r2, Condition::at_least, static_cast<int32_t>(Exchanges::kManyKinds), many);
  out.alu(Alu::add, r1, static_cast<int32_t>(Exchanges::kTokensForRetry));
  out.jump(done);
  out.bind(many);
  out.alu(Alu::add, r1, static_cast<int32_t>(guard.repeats->burst));
  out.bind(done);
}

void emit_trial(Assembler& out, const Guard& guard, Label refused) {
  Label none = out.label(), over = out.label(), positive = out.label(), known = out.label();
  get(out, r1, KSOCKET_EXCHANGE(trial_ns));
  out.jump_if(r1, Condition::equal, 0, none);
  out.move(r2, kNow);
  out.alu(Alu::sub, r2, r1);  // its age
  get(out, r3, KSOCKET_EXCHANGE(level));
  out.move(r4, static_cast<int32_t>(Exchanges::kDrainNs));
  out.alu(Alu::shift_left, r4, r3);
  out.move(r5, r4);
  out.alu(Alu::add, r5, static_cast<int32_t>(Exchanges::kListenNs));
  out.jump_if(r2, Condition::at_least, r5, over);
  out.jump_if(r2, Condition::less, r4, refused);
  get(out, r1, KSOCKET_EXCHANGE(heard));
  out.jump_if(r1, Condition::at_least, kHeardMax, refused);
  out.alu(Alu::add, r1, 1);
  set(out, KSOCKET_EXCHANGE(heard), r1);
  out.jump(refused);
  out.bind(over);
  emit_earned(out, guard);
  move_number(out, r2, kToken);
  out.alu(Alu::mul, r1, r2);
  get(out, r2, KSOCKET_EXCHANGE(tokens));
  out.jump_if(r2, Condition::signed_at_least, 0, positive);
  out.move(r2, 0);
  out.bind(positive);
  out.alu(Alu::add, r1, r2);
  set(out, KSOCKET_EXCHANGE(tokens), r1);
  get(out, r1, KSOCKET_EXCHANGE(level));
  out.jump_if(r1, Condition::at_least, static_cast<int32_t>(Exchanges::kLevels), known);
  out.alu(Alu::add, r1, 1);
  out.bind(known);
  set(out, KSOCKET_EXCHANGE(level), r1);
  emit_begun(out, {KSOCKET_EXCHANGE(tokens), KSOCKET_EXCHANGE(level)});
  out.bind(none);
}

// A payload that was not there before earns tokens; one that was is refused when there are none.
void emit_repeats(Assembler& out, const Guard& guard, Label admitted, Label refused) {
  Label kind_known = out.label(), repeated = out.label(), less = out.label();
  emit_hash(out, guard.seed, KSOCKET_SCRATCH(payload), KSOCKET_SCRATCH(length));
  out.move(r1, r0);
  out.alu(Alu::bit_and, r1, 7);
  out.alu(Alu::shift_left, r1, 3);
  out.alu(Alu::add, r1, kExchange);
  out.move(r2, r0);
  out.alu(Alu::shift_right, r2, 3);
  out.alu(Alu::bit_and, r2, 63);
  out.move(r3, 1);
  out.alu(Alu::shift_left, r3, r2);
  out.load(Size::doubleword, r4, r1, KSOCKET_EXCHANGE(kind_bits));
  out.move(r5, r4);
  out.alu(Alu::bit_or, r4, r3);
  out.store(Size::doubleword, r1, KSOCKET_EXCHANGE(kind_bits), r4);
  out.alu(Alu::bit_and, r5, r3);
  out.jump_if(r5, Condition::not_equal, 0, kind_known);
  get(out, r1, KSOCKET_EXCHANGE(kinds));
  out.alu(Alu::add, r1, 1);
  set(out, KSOCKET_EXCHANGE(kinds), r1);
  out.bind(kind_known);
  emit_seen(out);
  out.jump_if(r0, Condition::not_equal, 0, repeated);
  get(out, r1, KSOCKET_EXCHANGE(kinds));
  out.jump_if(r1, Condition::at_most, 1, admitted);
  get(out, r1, KSOCKET_EXCHANGE(tokens));
  move_number(out, r2, Exchanges::kTokensForNew * kToken);
  out.alu(Alu::add, r1, r2);
  move_number(out, r2, full(guard));
  out.jump_if(r1, Condition::signed_at_most, r2, less);
  out.move(r1, r2);
  out.bind(less);
  set(out, KSOCKET_EXCHANGE(tokens), r1);
  out.jump(admitted);
  out.bind(repeated);
  get(out, r1, KSOCKET_EXCHANGE(tokens));
  move_number(out, r2, kToken);
  out.jump_if(r1, Condition::signed_at_least, r2, admitted);
  set(out, KSOCKET_EXCHANGE(trial_ns), kNow);
  set(out, KSOCKET_EXCHANGE(heard), 0);
  out.jump(refused);
}

}  // namespace

void emit_guard(Assembler& out, const Guard& guard) {
  if (!guard.repeats) return;
  Label admitted = out.label(), refused = out.label(), done = out.label();
  emit_monotonic(out, guard.clock);
  out.move(kNow, r0);
  emit_find(out, guard, done);
  emit_regain(out, guard);
  emit_trial(out, guard, refused);
  get(out, r1, KSOCKET_EXCHANGE(asked));
  out.alu(Alu::add, r1, 1);
  set(out, KSOCKET_EXCHANGE(asked), r1);
  get(out, r1, KSOCKET_EXCHANGE(tokens));
  move_number(out, r2, full(guard) / 4);
  out.jump_if(r1, Condition::signed_at_least, r2, admitted);
  emit_repeats(out, guard, admitted, refused);
  out.bind(refused);
  emit_counts(out, {{offsetof(KernelCounters, loop_repeats)}});
  out.move(r0, XDP_DROP);
  out.exit();
  out.bind(admitted);
  get(out, r1, KSOCKET_EXCHANGE(tokens));
  move_number(out, r2, kToken);
  out.alu(Alu::sub, r1, r2);
  set(out, KSOCKET_EXCHANGE(tokens), r1);
  move_number(out, r2, full(guard) / 2);
  out.jump_if(r1, Condition::signed_at_least, r2, done);
  out.store(Size::word, kScratch, KSOCKET_SCRATCH(tells), 1);
  out.bind(done);
}

void emit_said(Assembler& out, const Guard& guard) {
  if (!guard.repeats) return;
  Label silent = out.label();
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(tells));
  out.jump_if(r1, Condition::equal, 0, silent);
  emit_hash(out, guard.seed, KSOCKET_SCRATCH(reply), KSOCKET_SCRATCH(reply_bytes));
  emit_seen(out);
  out.bind(silent);
}

}  // namespace ksocket::xdp
