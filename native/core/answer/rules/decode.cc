#include "core/answer/rules/decode.h"

#include <algorithm>
#include <cstring>

namespace ksocket::rules {

namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kRuleBytesMin = 16;

// Takes numbers and bytes off the front. After the first that is not there everything is 0 and ok() is false,
// so that callers need to look only before they act on what they read.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> in) : rest_(in) {}

  bool ok() const { return ok_; }
  size_t left() const { return rest_.size(); }
  void refuse() {
    ok_ = false;
    rest_ = {};
  }

  std::span<const uint8_t> bytes(size_t count) {
    if (count > rest_.size()) {
      refuse();
      return {};
    }
    std::span<const uint8_t> out = rest_.first(count);
    rest_ = rest_.subspan(count);
    return out;
  }
  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint32_t u32() { return number(4); }
  int32_t i32() { return static_cast<int32_t>(number(4)); }

 private:
  uint32_t number(size_t size) {
    uint32_t out = 0;
    std::span<const uint8_t> in = bytes(size);
    for (size_t i = 0; i < in.size(); i++) out |= uint32_t{in[i]} << (8 * i);
    return out;
  }

  std::span<const uint8_t> rest_;
  bool ok_ = true;
};

std::vector<uint8_t> copy(std::span<const uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

bool read_mask(Reader& in, Mask* out) {
  out->at = in.u16();
  size_t size = in.u16();
  if (size < 1 || size > kMaskBytesMax || out->at + size > UINT16_MAX) return false;
  out->mask = copy(in.bytes(size));
  out->value = copy(in.bytes(size));
  if (!in.ok()) return false;
  for (size_t i = 0; i < size; i++) {
    if ((out->value[i] & ~out->mask[i]) != 0) return false;
  }
  return true;
}

bool read_cidr(Reader& in, Cidr* out) {
  out->family = in.u8();
  out->prefix_bits = in.u8();
  if (out->family != 4 && out->family != 6) return false;
  uint32_t size = out->family == 4 ? 4 : 16;
  if (out->prefix_bits > 8 * size) return false;
  std::span<const uint8_t> bytes = in.bytes(size);
  if (!in.ok()) return false;
  std::memcpy(out->bytes, bytes.data(), size);
  for (uint32_t bit = out->prefix_bits; bit < 8 * size; bit++) {
    if (out->bytes[bit / 8] & (0x80 >> bit % 8)) return false;
  }
  return true;
}

// All that it says being without effect is nothing that an encoder writes.
bool read_kernel_conditions(Reader& in, Match* out) {
  out->heeds_kernel = true;
  out->ttl_min = in.u8();
  out->ttl_max = in.u8();
  out->dscps = in.u32();
  out->dscps |= uint64_t{in.u32()} << 32;
  out->ecns = in.u8();
  uint32_t locals = in.u16();
  if (!in.ok() || locals > kLocalsMax) return false;
  if (out->ttl_min > out->ttl_max || out->dscps == 0 || out->ecns == 0 || out->ecns > kAnyEcn) return false;
  for (uint32_t i = 0; i < locals; i++) {
    if (!read_cidr(in, &out->locals.emplace_back())) return false;
  }
  return locals > 0 || out->ttl_min > 0 || out->ttl_max < UINT8_MAX || out->dscps != kAnyDscp ||
         out->ecns != kAnyEcn;
}

bool read_match(Reader& in, uint8_t flags, Match* out) {
  out->length_min = in.u16();
  out->length_max = in.u16();
  uint32_t masks = in.u16(), sources = in.u16(), ports = in.u16();
  uint32_t payload = in.u32();
  if (out->length_min > out->length_max) return false;
  if (masks > kMasksMax || sources > kSourcesMax || ports > kPortsMax) return false;

  bool exact = flags & kFlagExact, prefix = flags & kFlagPrefix;
  if (exact && prefix) return false;
  if (payload > (exact || prefix ? UINT16_MAX : 0u)) return false;
  if (exact) out->kind = Match::Payload::exact;
  if (prefix) out->kind = Match::Payload::prefix;
  out->payload = copy(in.bytes(payload));

  for (uint32_t i = 0; i < masks; i++) {
    if (!read_mask(in, &out->masks.emplace_back())) return false;
  }
  for (uint32_t i = 0; i < sources; i++) {
    if (!read_cidr(in, &out->sources.emplace_back())) return false;
  }
  for (uint32_t i = 0; i < ports; i++) {
    uint16_t port = in.u16();  // 0 is no port of a datagram, and what a reader at its end returns
    if (port == 0) return false;
    out->destination_ports.push_back(port);
  }
  return in.ok() && (!(flags & kFlagKernel) || read_kernel_conditions(in, out));
}

bool read_literal(Reader& in, Template* to, Part* part) {
  std::span<const uint8_t> bytes = in.bytes(in.u32());
  if (to->literals.size() + bytes.size() > kReplyBytesMax) return false;
  part->begin = static_cast<int32_t>(to->literals.size());
  to->literals.insert(to->literals.end(), bytes.begin(), bytes.end());
  part->end = static_cast<int32_t>(to->literals.size());
  return in.ok();
}

bool is_offset(int32_t at) {
  return at >= -UINT16_MAX && at <= UINT16_MAX;
}

bool read_part(Reader& in, Template* to, Part* part) {
  part->kind = static_cast<Part::Kind>(in.u8());
  switch (part->kind) {
    case Part::Kind::literal:
      return read_literal(in, to, part);
    case Part::Kind::request:
      part->begin = in.i32();
      part->end = in.i32();
      return in.ok() && is_offset(part->begin) && (part->end == Part::kToTheEnd || is_offset(part->end));
    case Part::Kind::source_address:
    case Part::Kind::source_port:
    case Part::Kind::local_address:
      part->xor_at = in.i32();
      return in.ok() && part->xor_at >= Part::kNoXor && part->xor_at <= UINT16_MAX;
    case Part::Kind::time_ntp:
    case Part::Kind::time_unix:
    case Part::Kind::ttl:
    case Part::Kind::dscp:
    case Part::Kind::ecn:
      return true;
    case Part::Kind::counter:
      part->counter_bytes = in.u8();
      return part->counter_bytes == 1 || part->counter_bytes == 2 || part->counter_bytes == 4 ||
             part->counter_bytes == 8;
  }
  return false;
}

bool read_template(Reader& in, Template* out) {
  uint32_t parts = in.u16();
  if (!in.ok() || parts > kPartsMax) return false;
  for (uint32_t i = 0; i < parts; i++) {
    // Every part has a kind, so a reader at its end is found out here at the latest.
    if (in.left() == 0 || !read_part(in, out, &out->parts.emplace_back())) return false;
  }
  return true;
}

bool read_rule(Reader& in, Rule* out) {
  uint8_t action = in.u8(), flags = in.u8();
  if (action > static_cast<uint8_t>(Action::forward)) return false;
  if (flags & ~(kFlagExact | kFlagPrefix | kFlagAmplify | kFlagKernel)) return false;
  out->action = static_cast<Action>(action);
  out->amplify = flags & kFlagAmplify;
  if (out->amplify && out->action != Action::reply) return false;
  if (!read_match(in, flags, &out->match)) return false;
  return out->action != Action::reply || read_template(in, &out->reply);
}

}  // namespace

std::optional<RuleSpec> decode_rules(std::span<const uint8_t> encoded) {
  if (encoded.size() < kHeaderBytes || encoded.size() > kEncodedBytesMax) return std::nullopt;
  Reader in(encoded);
  if (!std::ranges::equal(in.bytes(sizeof kMagic), kMagic) || in.u16() != kVersion) return std::nullopt;
  uint8_t otherwise = in.u8();
  if (otherwise > static_cast<uint8_t>(Action::echo) || in.u8() != 0) return std::nullopt;
  uint32_t rules = in.u32();
  if (rules > kRulesMax || rules > in.left() / kRuleBytesMin) return std::nullopt;

  RuleSpec out;
  out.otherwise = static_cast<Action>(otherwise);
  out.rules.resize(rules);
  for (Rule& rule : out.rules) {
    if (!read_rule(in, &rule)) return std::nullopt;
    if (rule.action == Action::forward) rule.forward = out.forwards++;
  }
  if (in.left() != 0) return std::nullopt;
  return out;
}

}  // namespace ksocket::rules
