#include "core/xdp/emit_reply.h"

#include <algorithm>

#include "core/xdp/emit_size.h"

namespace ksocket::xdp {

namespace {

using rules::Part;

constexpr int32_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kUnixEpochInNtp = 2'208'988'800;  // as in reply_template.cc

// Where the next part goes: r9 + `at`. Behind a part whose size is known at run time only, r9 is brought
// there and `at` begins at 0 again.
class Writer {
 public:
  Writer(Assembler& out, const rules::Template& reply, Label broken)
      : out_(out), reply_(reply), broken_(broken) {
    out_.move(r9, kScratch);
    out_.store(Size::word, kScratch, KSOCKET_SCRATCH(rendered), 0);
  }

  void write(const Part& part) {
    switch (part.kind) {
      case Part::Kind::literal:
        return literal(part);
      case Part::Kind::request:
        return request(part);
      case Part::Kind::source_address:
        return address(part, KSOCKET_PSEUDO(source));
      case Part::Kind::local_address:
        return address(part, KSOCKET_PSEUDO(local));
      case Part::Kind::source_port:
        copy(Size::half, KSOCKET_PSEUDO(source_port), part.xor_at, 0);
        at_ += 2;
        return;
      case Part::Kind::time_unix:
        out_.load(Size::doubleword, r1, kScratch, KSOCKET_SCRATCH(now_ns));
        return number(8);
      case Part::Kind::time_ntp:
        return ntp_time();
      case Part::Kind::counter:
        out_.load(Size::doubleword, r1, kScratch, KSOCKET_SCRATCH(number));
        return number(part.counter_bytes);
      case Part::Kind::ttl:
        out_.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(ttl));
        return number(1);
      case Part::Kind::dscp:
        out_.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(tos));
        out_.alu(Alu::shift_right, r1, 2);
        return number(1);
      case Part::Kind::ecn:
        out_.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(tos));
        out_.alu(Alu::bit_and, r1, 3);
        return number(1);
    }
  }

 private:
  int32_t place() const { return KSOCKET_SCRATCH(reply) + at_; }

  void literal(const Part& part) {
    const uint8_t* bytes = reply_.literals.data() + part.begin;
    int32_t size = part.end - part.begin;
    int32_t done = 0;
    for (; done + 4 <= size; done += 4) {
      out_.store(Size::word, r9, place() + done, word_of(bytes + done));
    }
    for (; done < size; done++) out_.store(Size::byte, r9, place() + done, int32_t{bytes[done]});
    at_ += size;
  }

  // The lowest `size` bytes of r1, in network order.
  void number(int32_t size) {
    Size unit = size == 1 ? Size::byte : size == 2 ? Size::half : size == 4 ? Size::word : Size::doubleword;
    if (size > 1) out_.big_endian(r1, 8 * size);
    out_.store(unit, r9, place(), r1);
    at_ += size;
  }

  void ntp_time() {
    out_.load(Size::doubleword, r1, kScratch, KSOCKET_SCRATCH(now_ns));
    out_.move(r2, r1);
    out_.alu(Alu::div, r1, kNsPerSecond);
    out_.move64(r3, kUnixEpochInNtp);
    out_.alu(Alu::add, r1, r3);
    out_.alu(Alu::shift_left, r1, 32);
    out_.alu(Alu::mod, r2, kNsPerSecond);
    out_.alu(Alu::shift_left, r2, 32);
    out_.alu(Alu::div, r2, kNsPerSecond);
    out_.alu(Alu::bit_or, r1, r2);
    number(8);
  }

  // Behind the payload are 16 zeroes; beyond them there is nothing that may be read.
  void copy(Size size, int32_t from, int32_t xor_at, int32_t behind) {
    out_.load(size, r1, kScratch, from + behind);
    if (xor_at >= 0 && xor_at < static_cast<int32_t>(kPayloadBytesMax)) {
      Label beyond = out_.label();
      out_.load(Size::word, r2, kScratch, KSOCKET_SCRATCH(length));
      out_.jump_if(r2, Condition::at_most, xor_at, beyond);
      out_.load(size, r2, kScratch, KSOCKET_SCRATCH(payload) + xor_at + behind);
      out_.alu(Alu::bit_xor, r1, r2);
      out_.bind(beyond);
    }
    out_.store(size, r9, place() + behind, r1);
  }

  void address(const Part& part, int32_t field) {
    Label ipv6 = out_.label(), done = out_.label();
    out_.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(is_ipv6));
    out_.jump_if(r1, Condition::not_equal, 0, ipv6);
    copy(Size::word, field + 12, part.xor_at, 0);
    out_.move(r8, 4);
    out_.jump(done);
    out_.bind(ipv6);
    copy(Size::doubleword, field, part.xor_at, 0);
    copy(Size::doubleword, field, part.xor_at, 8);
    out_.move(r8, 16);
    out_.bind(done);
    advance();
  }

  // From the frame, which still holds all of the request.
  void request(const Part& part) {
    Label empty = out_.label();
    emit_slice(out_, part.begin, part.end);
    out_.move(r8, r4);
    out_.jump_if(r8, Condition::equal, 0, empty);
    out_.jump_if(r8, Condition::greater, kPayloadBytesMax, broken_);
    out_.load(Size::word, r2, kScratch, KSOCKET_SCRATCH(headers));
    out_.alu(Alu::add, r2, r3);
    out_.move(r1, kContext);
    out_.move(r3, r9);
    out_.alu(Alu::add, r3, place());
    out_.move(r4, r8);
    out_.call(Helper::xdp_load_bytes);
    out_.jump_if(r0, Condition::not_equal, 0, broken_);
    out_.bind(empty);
    advance();
  }

  // By r8.
  void advance() {
    out_.load(Size::word, r1, kScratch, KSOCKET_SCRATCH(rendered));
    out_.alu(Alu::add, r1, r8);
    if (at_ != 0) out_.alu(Alu::add, r1, at_);
    at_ = 0;
    out_.store(Size::word, kScratch, KSOCKET_SCRATCH(rendered), r1);
    out_.load(Size::word, r9, kScratch, KSOCKET_SCRATCH(rendered));
    out_.jump_if(r9, Condition::greater, kPayloadBytesMax, broken_);
    out_.alu(Alu::add, r9, kScratch);
  }

  Assembler& out_;
  const rules::Template& reply_;
  const Label broken_;
  int32_t at_ = 0;
};

bool has(const rules::Template& reply, std::initializer_list<Part::Kind> kinds) {
  return std::ranges::any_of(reply.parts, [&](const Part& part) {
    return std::find(kinds.begin(), kinds.end(), part.kind) != kinds.end();
  });
}

void emit_time(Assembler& out, CompileOptions::Clock clock) {
  using Clock = CompileOptions::Clock;
  if (clock == Clock::stands) {
    out.move(r0, 0);
  } else {
    out.call(clock == Clock::tai ? Helper::ktime_get_tai_ns : Helper::ktime_get_ns);
  }
  put_map_value(out, r1, MapId::options, offsetof(Options, clock_offset_ns));
  out.load(Size::doubleword, r1, r1, 0);
  out.alu(Alu::add, r0, r1);
  out.store(Size::doubleword, kScratch, KSOCKET_SCRATCH(now_ns), r0);
}

}  // namespace

void emit_render(Assembler& out, const PlannedRule& rule, const CompileOptions& options, Label broken) {
  const rules::Template& reply = rule.rule->reply;
  if (has(reply, {Part::Kind::time_unix, Part::Kind::time_ntp})) emit_time(out, options.clock);
  if (has(reply, {Part::Kind::counter})) {
    uint32_t place = rule.index < options.numbers.size() ? options.numbers[rule.index] : rule.index;
    out.move(r1, static_cast<int32_t>(place));
    emit_lookup_number(out, MapId::numbers, r1);
    out.jump_if(r0, Condition::equal, 0, broken);
    out.move(r2, 1);
    out.fetch_add(r0, 0, r2);
    out.store(Size::doubleword, kScratch, KSOCKET_SCRATCH(number), r2);
  }
  Writer writer(out, reply, broken);
  for (const Part& part : reply.parts) writer.write(part);
}

}  // namespace ksocket::xdp
