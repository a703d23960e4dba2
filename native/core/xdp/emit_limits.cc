#include "core/xdp/emit_limits.h"

#include <algorithm>

namespace ksocket::xdp {

namespace {

// On the stack.
constexpr int32_t kLpmKey = -20, kSourceKey = -24, kNewBucket = -32;

constexpr int32_t kUnitBits = 8;  // of Bucket::full_at
constexpr uint64_t kUnitsPerSecond = uint64_t{1'000'000'000} << kUnitBits;
constexpr uint64_t kWindowMax = uint64_t{1} << 61;
constexpr int32_t kAheadBits = 62;  // a bucket is full no later than that

void emit_drop(Assembler& out, size_t counter) {
  emit_counts(out, {{counter}});
  out.move(r0, XDP_DROP);
  out.exit();
}

// `refused`: is who is in the list refused, or who is not?
void emit_list(Assembler& out, MapId list, bool refused) {
  Label good = out.label();
  out.store(Size::word, Register::fp, kLpmKey, 128);
  for (int32_t at = 0; at < 16; at += 4) {
    out.load(Size::word, r1, kScratch, KSOCKET_PSEUDO(source) + at);
    out.store(Size::word, Register::fp, kLpmKey + 4 + at, r1);
  }
  out.move(r2, Register::fp);
  out.alu(Alu::add, r2, kLpmKey);
  emit_lookup(out, list);
  out.jump_if(r0, refused ? Condition::equal : Condition::not_equal, 0, good);
  emit_drop(out, offsetof(KernelCounters, denied));
  out.bind(good);
}

// r9: now, in the units of buckets.
void emit_now(Assembler& out, CompileOptions::Clock clock) {
  emit_monotonic(out, clock);
  out.move(r9, r0);
  put_map_value(out, r1, MapId::options, offsetof(Options, epoch_ns));
  out.load(Size::doubleword, r1, r1, 0);
  out.alu(Alu::sub, r9, r1);
  out.alu(Alu::shift_left, r9, kUnitBits);
}

// r8 points to the bucket. Each datagram moves the time at which it is full by `unit`, and passes when that
// is no farther from now than the burst. Only differences are looked at, as the clock of buckets goes round
// (in 834 days). Processors may do that at once: none takes what another one has, and
// one may be refused for what another one gives back.
void emit_take(Assembler& out, const RateLimit& limit, size_t counter) {
  uint64_t unit = (kUnitsPerSecond + limit.rate - 1) / limit.rate;
  uint64_t window = limit.burst > kWindowMax / unit ? kWindowMax : limit.burst * unit;
  Label behind = out.label(), granted = out.label();
  out.load(Size::doubleword, r0, r8, 0);
  out.move(r1, r0);
  out.alu(Alu::sub, r1, r9);
  out.alu(Alu::shift_right, r1, kAheadBits);
  out.jump_if(r1, Condition::equal, 0, behind);
  out.move(r1, r9);
  out.compare_exchange(r8, 0, r1);
  out.bind(behind);
  out.move64(r1, unit);
  out.move(r2, r1);
  out.fetch_add(r8, 0, r2);
  out.alu(Alu::add, r2, r1);
  out.move64(r3, window);
  out.alu(Alu::add, r3, r9);
  out.alu(Alu::sub, r2, r3);
  out.jump_if(r2, Condition::signed_at_most, 0, granted);
  out.alu(Alu::negate, r1, 0);
  out.atomic_add(r8, 0, r1);
  emit_drop(out, counter);
  out.bind(granted);
}

// r8: the source's bucket, a full one if there was none.
void emit_source_bucket(Assembler& out, Label pass) {
  Label ipv4 = out.label(), keyed = out.label(), found = out.label();
  out.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(is_ipv6));
  out.jump_if(r1, Condition::equal, 0, ipv4);
  out.load(Size::doubleword, r1, kScratch, KSOCKET_PSEUDO(source));
  out.move(r2, 6);
  out.jump(keyed);
  out.bind(ipv4);
  out.load(Size::word, r1, kScratch, KSOCKET_PSEUDO(source) + 12);
  out.move(r2, 4);
  out.bind(keyed);
  out.store(Size::doubleword, Register::fp, kSourceKey, r1);
  out.store(Size::doubleword, Register::fp, kSourceKey + 8, r2);
  auto look_up = [&] {
    out.move(r2, Register::fp);
    out.alu(Alu::add, r2, kSourceKey);
    emit_lookup(out, MapId::per_source);
  };
  look_up();
  out.jump_if(r0, Condition::not_equal, 0, found);
  out.store(Size::doubleword, Register::fp, kNewBucket, r9);
  put_map(out, r1, MapId::per_source);
  out.move(r2, Register::fp);
  out.alu(Alu::add, r2, kSourceKey);
  out.move(r3, Register::fp);
  out.alu(Alu::add, r3, kNewBucket);
  out.move(r4, BPF_NOEXIST);
  out.call(Helper::map_update_elem);
  look_up();
  out.jump_if(r0, Condition::equal, 0, pass);
  out.bind(found);
  out.move(r8, r0);
}

}  // namespace

void emit_lists(Assembler& out, const Protection& protection) {
  bool denies =
      protection.deny != nullptr && (!protection.deny->ipv4().empty() || !protection.deny->ipv6().empty());
  if (denies) emit_list(out, MapId::deny, true);
  if (protection.allow != nullptr) emit_list(out, MapId::allow, false);
}

void emit_limits(Assembler& out, const Protection& protection, CompileOptions::Clock clock, Label pass) {
  if (!protection.per_source && !protection.total) return;
  emit_now(out, clock);
  if (protection.per_source) {
    emit_source_bucket(out, pass);
    emit_take(out, *protection.per_source, offsetof(KernelCounters, limited));
  }
  if (!protection.total) return;
  put_map_value(out, r8, MapId::total, 0);
  emit_take(out, *protection.total, offsetof(KernelCounters, limited_total));
}

}  // namespace ksocket::xdp
