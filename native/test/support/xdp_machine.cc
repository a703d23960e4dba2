#include "support/xdp_machine.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace ksocket::test {

using namespace xdp;

namespace {

constexpr size_t kFrameRoom = 4096, kStackBytes = 512;
constexpr uint64_t kMapReference = uint64_t{0x6d6170} << 32, kContext = XdpMachine::kContextAddress;
constexpr uint32_t kStepsMax = 1'000'000;

bool is_array(uint32_t type) {
  return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PROG_ARRAY;
}

std::vector<uint8_t> bytes_of(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  return {bytes, bytes + size};
}

uint64_t read(const uint8_t* from, size_t bytes) {
  uint64_t out = 0;
  std::memcpy(&out, from, bytes);  // little-endian, as whatever runs these tests
  return out;
}

size_t size_of(const bpf_insn& instruction) {
  static constexpr size_t kSizes[] = {4, 2, 1, 8};
  return kSizes[instruction.code >> 3 & 3];
}

}  // namespace

XdpMachine::XdpMachine(const CompiledRules& compiled)
    : XdpRunner(compiled),
      compiled_(compiled),
      stack_(kStackBytes),
      frame_(kFrameRoom),
      first_(compiled.programs.data()),
      program_(first_) {
  for (const MapSpec& spec : compiled.maps) {
    Map& map = at(spec.id).emplace();
    map.spec = spec;
    if (is_array(spec.type)) map.elements.resize(size_t{spec.max_entries} * spec.value_size);
  }
  for (const MapEntry& entry : compiled.entries) set(entry.map, entry.key, entry.value);
}

void XdpMachine::set(MapId map, Bytes key, Bytes value) {
  Map& to = *at(map);
  if (to.is_array()) {
    if (uint8_t* element = value_of(to, key)) std::ranges::copy(value, element);
    return;
  }
  auto& place = to.values[std::move(key)];
  if (!place) {
    place = std::make_unique<Bytes>(value.size());
    regions_[reinterpret_cast<uintptr_t>(place->data())] = value.size();
  }
  std::ranges::copy(value, place->begin());
}

void XdpMachine::set_address(std::span<const uint8_t, 16> address, uint32_t flags) {
  set(MapId::addresses, {address.begin(), address.end()}, bytes_of(&flags, 4));
}

void XdpMachine::set_options(const Options& options) {
  uint32_t first = 0;
  if (at(MapId::options)) set(MapId::options, bytes_of(&first, 4), bytes_of(&options, sizeof options));
}

std::vector<uint64_t> XdpMachine::sum(MapId map, uint32_t key, size_t numbers) const {
  std::vector<uint64_t> out(numbers);
  const auto& found = maps_[static_cast<size_t>(map)];
  if (found) std::memcpy(out.data(), &found->elements.at(size_t{key} * found->spec.value_size), 8 * numbers);
  return out;
}

void XdpMachine::set_generic() {
  uint32_t loopback = 1;
  if (at(MapId::generic)) set(MapId::generic, bytes_of(&loopback, 4), {1});
}

void XdpMachine::enter_by(const Entry& entry) {
  at(MapId::servers).emplace().spec = {MapId::servers, "ks_servers", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2, 0};
  entry_program_ = compile_entry(entry);
  layout_ = entry.joined;
  first_ = &entry_program_;
}

uint64_t XdpMachine::fail(const std::string& what) {
  if (error_.empty()) error_ = what + " at " + std::to_string(place_) + " of " + program_->name;
  ended_ = true;
  return 0;
}

// Of an array what is allowed does not go from one element to the next.
bool XdpMachine::is_allowed(uint64_t address, uint64_t bytes) const {
  auto is_in = [&](const uint8_t* begin, size_t size, size_t each) {
    uint64_t offset = address - reinterpret_cast<uintptr_t>(begin);
    return offset < size && bytes <= each - offset % each;
  };
  if (is_in(stack_.data(), stack_.size(), stack_.size())) return true;
  if (frame_bytes_ > 0 && is_in(frame_.data(), frame_bytes_, frame_bytes_)) return true;
  for (const auto& map : maps_) {
    if (map && map->is_array() && is_in(map->elements.data(), map->elements.size(), map->spec.value_size))
      return true;
  }
  auto region = regions_.upper_bound(address);
  if (region == regions_.begin()) return false;
  --region;
  return is_in(reinterpret_cast<const uint8_t*>(region->first), region->second, region->second);
}

uint8_t* XdpMachine::memory(uint64_t address, uint64_t bytes) {
  if (is_allowed(address, bytes)) return reinterpret_cast<uint8_t*>(address);
  fail("no memory of the program's");
  return nullptr;
}

XdpMachine::Map* XdpMachine::map_of(uint64_t reference) {
  uint64_t id = reference & 0xff;
  if (reference >> 32 == kMapReference >> 32 && id < maps_.size() && maps_[id]) return &*maps_[id];
  fail("no map");
  return nullptr;
}

XdpRunner::Result XdpMachine::run(std::span<const uint8_t> frame, uint32_t) {
  std::memset(frame_.data(), 0xa5, frame_.size());
  std::ranges::copy(frame, frame_.begin());
  frame_bytes_ = frame.size();
  registers_[1] = kContext;
  registers_[10] = reinterpret_cast<uintptr_t>(stack_.data()) + kStackBytes;
  program_ = first_;
  place_ = 0;
  ended_ = !error_.empty();
  execute();
  Result out;
  out.verdict = error_.empty() ? static_cast<uint32_t>(registers_[0]) : UINT32_MAX;
  out.frame.assign(frame_.begin(), frame_.begin() + static_cast<ptrdiff_t>(frame_bytes_));
  return out;
}

void XdpMachine::execute() {
  for (uint32_t steps = 0; !ended_; steps++) {
    const auto& code = program_->code;
    if (steps > kStepsMax || place_ >= code.size()) {
      fail("it does not end");
      return;
    }
    const bpf_insn& instruction = code[place_];
    switch (instruction.code & 7) {
      case 0:
        load_wide();
        continue;
      case 1:
        load(instruction);
        break;
      case 2:
      case 3:
        store(instruction);
        break;
      case 4:
      case 7:
        compute(instruction, (instruction.code & 7) == 7);
        break;
      default:
        if (instruction.code == 0x95) {
          ended_ = true;
        } else if (instruction.code == 0x85) {
          call(instruction.imm);
          continue;
        } else if (holds(instruction, (instruction.code & 7) == 5)) {
          place_ += static_cast<size_t>(static_cast<ptrdiff_t>(instruction.off));
        }
    }
    place_++;
  }
}

void XdpMachine::load_wide() {
  const Program& program = *program_;
  const bpf_insn &low = program.code[place_], &high = program.code[place_ + 1];
  uint64_t& to = registers_[low.dst_reg];
  to = uint64_t{static_cast<uint32_t>(high.imm)} << 32 | static_cast<uint32_t>(low.imm);
  if (low.src_reg != 0) {
    auto reference = std::ranges::find(program.relocations, place_, &Relocation::slot);
    if (reference == program.relocations.end()) {
      fail("no relocation");
      return;
    }
    to = kMapReference | static_cast<uint64_t>(reference->map);
    Map* map = map_of(to);
    if (low.src_reg == BPF_PSEUDO_MAP_VALUE && map != nullptr) {
      if (map->spec.max_entries != 1) fail("more than one value");
      to = reinterpret_cast<uintptr_t>(map->element(0)) + static_cast<uint32_t>(high.imm);
    }
  }
  place_ += 2;
}

void XdpMachine::load(const bpf_insn& instruction) {
  uint64_t& to = registers_[instruction.dst_reg];
  uint64_t base = registers_[instruction.src_reg];
  if (base == kContext) {
    uint64_t data = reinterpret_cast<uintptr_t>(frame_.data());
    if (instruction.off == offsetof(xdp_md, data))
      to = data;
    else if (instruction.off == offsetof(xdp_md, data_end))
      to = data + frame_bytes_;
    else if (instruction.off == offsetof(xdp_md, ingress_ifindex))
      to = 1;
    else
      fail("no field of the context");
    return;
  }
  const uint8_t* from = memory(base + static_cast<uint64_t>(int64_t{instruction.off}), size_of(instruction));
  if (from != nullptr) to = read(from, size_of(instruction));
}

void XdpMachine::store(const bpf_insn& instruction) {
  if ((instruction.code & 0xe0) == 0xc0) return atomic(instruction);
  uint64_t value = (instruction.code & 7) == 3 ? registers_[instruction.src_reg]
                                               : static_cast<uint64_t>(int64_t{instruction.imm});
  uint64_t address = registers_[instruction.dst_reg] + static_cast<uint64_t>(int64_t{instruction.off});
  if (uint8_t* to = memory(address, size_of(instruction))) std::memcpy(to, &value, size_of(instruction));
}

void XdpMachine::atomic(const bpf_insn& instruction) {
  uint64_t address = registers_[instruction.dst_reg] + static_cast<uint64_t>(int64_t{instruction.off});
  uint64_t& from = registers_[instruction.src_reg];
  uint8_t* to = memory(address, 8);
  if (to == nullptr) return;
  uint64_t before = read(to, 8), after = before + from;
  if (instruction.imm == 0xf1) after = before == registers_[0] ? from : before;
  std::memcpy(to, &after, 8);
  if (instruction.imm == 0x01) from = before;
  if (instruction.imm == 0xf1) registers_[0] = before;
}

void XdpMachine::compute(const bpf_insn& instruction, bool wide) {
  uint64_t& to = registers_[instruction.dst_reg];
  uint64_t by = instruction.code & 8 ? registers_[instruction.src_reg]
                                     : static_cast<uint64_t>(int64_t{instruction.imm});
  uint64_t left = to;
  if (!wide) by &= UINT32_MAX, left &= UINT32_MAX;
  uint64_t bits = by & (wide ? 63 : 31);
  switch (instruction.code & 0xf0) {
    case 0x00:
      left += by;
      break;
    case 0x10:
      left -= by;
      break;
    case 0x20:
      left *= by;
      break;
    case 0x30:
      left = by == 0 ? 0 : left / by;
      break;
    case 0x40:
      left |= by;
      break;
    case 0x50:
      left &= by;
      break;
    case 0x60:
      left <<= bits;
      break;
    case 0x70:
      left >>= bits;
      break;
    case 0x80:
      left = -left;
      break;
    case 0x90:
      left = by == 0 ? left : left % by;
      break;
    case 0xa0:
      left ^= by;
      break;
    case 0xb0:
      left = by;
      break;
    case 0xd0:
      left = __builtin_bswap64(to) >> (64 - instruction.imm);
      break;
    default:
      fail("an unknown operation");
      break;
  }
  to = wide || (instruction.code & 0xf0) == 0xd0 ? left : left & UINT32_MAX;
}

bool XdpMachine::holds(const bpf_insn& instruction, bool wide) const {
  uint64_t left = registers_[instruction.dst_reg];
  uint64_t right = instruction.code & 8 ? registers_[instruction.src_reg]
                                        : static_cast<uint64_t>(int64_t{instruction.imm});
  auto sign = [wide](uint64_t value) {
    return wide ? static_cast<int64_t>(value) : int64_t{static_cast<int32_t>(value)};
  };
  int64_t signed_left = sign(left), signed_right = sign(right);
  if (!wide) left &= UINT32_MAX, right &= UINT32_MAX;
  switch (instruction.code & 0xf0) {
    case 0x00:
      return true;
    case 0x10:
      return left == right;
    case 0x20:
      return left > right;
    case 0x30:
      return left >= right;
    case 0x40:
      return (left & right) != 0;
    case 0x50:
      return left != right;
    case 0x60:
      return signed_left > signed_right;
    case 0x70:
      return signed_left >= signed_right;
    case 0xa0:
      return left < right;
    case 0xb0:
      return left <= right;
    case 0xc0:
      return signed_left < signed_right;
    default:
      return signed_left <= signed_right;
  }
}

}  // namespace ksocket::test
