#include "core/bpf/ebpf_assembler.h"

namespace ksocket::bpf {

namespace {

// RFC 9669, section 3: classes, sources and modes.
constexpr uint8_t kLoadImmediate = 0x18, kLoad = 0x61, kStoreImmediate = 0x62, kStore = 0x63;
constexpr uint8_t kAtomic64 = 0xdb, kAlu32 = 0x04, kAlu64 = 0x07, kJump64 = 0x05, kJump32 = 0x06;
constexpr uint8_t kFromRegister = 0x08, kToBigEndian = 0xdc, kCall = 0x85, kExit = 0x95;
constexpr int32_t kFetch = 0x01, kCompareExchange = 0xf1;
constexpr uint8_t kMapDescriptor = 1, kMapValue = 2;  // BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE
constexpr uint32_t kUnbound = UINT32_MAX;

template <class Enum>
uint8_t code_of(Enum value) {
  return static_cast<uint8_t>(value);
}

}  // namespace

EbpfAssembler::Label EbpfAssembler::label() {
  labels_.push_back(kUnbound);
  return {static_cast<uint32_t>(labels_.size() - 1)};
}

void EbpfAssembler::bind(Label label) {
  labels_[label.number] = static_cast<uint32_t>(code_.size());
}

EbpfAssembler::Label EbpfAssembler::here() {
  Label out = label();
  bind(out);
  return out;
}

void EbpfAssembler::put(uint8_t code, Register to, Register from, int32_t offset, int32_t immediate) {
  bpf_insn instruction = {};
  instruction.code = code;
  instruction.dst_reg = code_of(to);
  instruction.src_reg = code_of(from);
  instruction.off = static_cast<int16_t>(offset);
  instruction.imm = immediate;
  code_.push_back(instruction);
}

void EbpfAssembler::put_wide(Register to, uint8_t kind, uint32_t low, uint32_t high) {
  put(kLoadImmediate, to, static_cast<Register>(kind), 0, static_cast<int32_t>(low));
  put(0, Register::r0, Register::r0, 0, static_cast<int32_t>(high));
}

void EbpfAssembler::alu(Alu operation, Register to, Register from) {
  put(kAlu64 | code_of(operation) | kFromRegister, to, from, 0, 0);
}
void EbpfAssembler::alu(Alu operation, Register to, int32_t immediate) {
  put(kAlu64 | code_of(operation), to, Register::r0, 0, immediate);
}
void EbpfAssembler::alu32(Alu operation, Register to, Register from) {
  put(kAlu32 | code_of(operation) | kFromRegister, to, from, 0, 0);
}
void EbpfAssembler::alu32(Alu operation, Register to, int32_t immediate) {
  put(kAlu32 | code_of(operation), to, Register::r0, 0, immediate);
}
void EbpfAssembler::move64(Register to, uint64_t immediate) {
  put_wide(to, 0, static_cast<uint32_t>(immediate), static_cast<uint32_t>(immediate >> 32));
}
void EbpfAssembler::big_endian(Register reg, int32_t bits) {
  put(kToBigEndian, reg, Register::r0, 0, bits);
}

void EbpfAssembler::load(Size size, Register to, Register base, int32_t offset) {
  put(kLoad | code_of(size), to, base, offset, 0);
}
void EbpfAssembler::store(Size size, Register base, int32_t offset, Register from) {
  put(kStore | code_of(size), base, from, offset, 0);
}
void EbpfAssembler::store(Size size, Register base, int32_t offset, int32_t immediate) {
  put(kStoreImmediate | code_of(size), base, Register::r0, offset, immediate);
}
void EbpfAssembler::atomic_add(Register base, int32_t offset, Register from) {
  put(kAtomic64, base, from, offset, 0);
}
void EbpfAssembler::fetch_add(Register base, int32_t offset, Register from) {
  put(kAtomic64, base, from, offset, kFetch);
}
void EbpfAssembler::compare_exchange(Register base, int32_t offset, Register from) {
  put(kAtomic64, base, from, offset, kCompareExchange);
}

void EbpfAssembler::put_jump(uint8_t code, Register left, Register right, int32_t immediate, Label to) {
  jumps_.push_back({static_cast<uint32_t>(code_.size()), to.number});
  put(code, left, right, 0, immediate);
}
void EbpfAssembler::jump(Label to) {
  put_jump(kJump64, Register::r0, Register::r0, 0, to);
}
void EbpfAssembler::jump_if(Register left, Condition condition, Register right, Label to) {
  branches_++;
  put_jump(kJump64 | code_of(condition) | kFromRegister, left, right, 0, to);
}
void EbpfAssembler::jump_if(Register left, Condition condition, int32_t right, Label to) {
  branches_++;
  put_jump(kJump64 | code_of(condition), left, Register::r0, right, to);
}
void EbpfAssembler::jump_if32(Register left, Condition condition, Register right, Label to) {
  branches_++;
  put_jump(kJump32 | code_of(condition) | kFromRegister, left, right, 0, to);
}
void EbpfAssembler::jump_if32(Register left, Condition condition, int32_t right, Label to) {
  branches_++;
  put_jump(kJump32 | code_of(condition), left, Register::r0, right, to);
}

void EbpfAssembler::map(Register to, uint8_t map) {
  maps_.push_back({static_cast<uint32_t>(code_.size()), map});
  put_wide(to, kMapDescriptor, 0, 0);
}
void EbpfAssembler::map_value(Register to, uint8_t map, uint32_t offset) {
  maps_.push_back({static_cast<uint32_t>(code_.size()), map});
  put_wide(to, kMapValue, 0, offset);
}
void EbpfAssembler::call(Helper helper) {
  put(kCall, Register::r0, Register::r0, 0, static_cast<int32_t>(helper));
}
void EbpfAssembler::exit() {
  put(kExit, Register::r0, Register::r0, 0, 0);
}

// `targets`: where each instruction jumps to, or kUnbound.
std::vector<uint8_t> EbpfAssembler::reachable(const std::vector<uint32_t>& targets) const {
  std::vector<uint8_t> out(code_.size());
  std::vector<uint32_t> pending{0};
  while (!pending.empty()) {
    uint32_t at = pending.back();
    pending.pop_back();
    while (at < code_.size() && !out[at]) {
      out[at] = 1;
      uint8_t code = code_[at].code;
      if (code == kExit) break;
      if (code == kLoadImmediate) out[at + 1] = 1;
      if (targets[at] != kUnbound && code != kJump64) pending.push_back(targets[at]);
      at = code == kJump64 ? targets[at] : at + (code == kLoadImmediate ? 2 : 1);
    }
  }
  return out;
}

std::optional<EbpfAssembler::Program> EbpfAssembler::finish() const {
  std::vector<uint32_t> targets(code_.size(), kUnbound);
  for (const Jump& jump : jumps_) {
    targets[jump.at] = labels_[jump.label];
    if (targets[jump.at] == kUnbound) return std::nullopt;
  }
  std::vector<uint8_t> kept = reachable(targets);
  std::vector<uint32_t> places(code_.size());  // in the program that is handed out
  uint32_t place = 0;
  for (size_t i = 0; i < code_.size(); i++) {
    places[i] = place;
    place += kept[i];
  }
  Program out;
  out.code.reserve(place);
  for (size_t i = 0; i < code_.size(); i++) {
    if (!kept[i]) continue;
    bpf_insn instruction = code_[i];
    if (targets[i] != kUnbound) {
      int64_t distance = int64_t{places[targets[i]]} - places[i] - 1;
      if (distance < INT16_MIN || distance > INT16_MAX) return std::nullopt;
      instruction.off = static_cast<int16_t>(distance);
    }
    out.code.push_back(instruction);
  }
  for (const MapReference& reference : maps_) {
    if (kept[reference.slot]) out.maps.push_back({places[reference.slot], reference.map});
  }
  return out;
}

}  // namespace ksocket::bpf
