#include "core/bpf/disassemble.h"

#include <cstdio>

namespace ksocket::bpf {

namespace {

// RFC 9669, section 3: the class is in the lowest three bits, the operation or the mode in the highest.
constexpr uint8_t kClass = 0x07, kOperation = 0xf0, kFromRegister = 0x08, kSize = 0x18, kMode = 0xe0;
enum Class : uint8_t { load_immediate, load, store_immediate, store, alu32, jump64, jump32, alu64 };

std::string reg(uint8_t number) {
  return std::string(1, 'r').append(std::to_string(number));  // "r" + … is -Wrestrict to GCC 12
}

std::string hex(uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

std::string unknown(const bpf_insn& instruction) {
  char text[64];
  std::snprintf(text, sizeof text, "? code 0x%02x dst %u src %u off %d imm 0x%x", instruction.code,
                instruction.dst_reg, instruction.src_reg, instruction.off,
                static_cast<uint32_t>(instruction.imm));
  return text;
}

// "" for what is none.
std::string alu_operator(uint8_t operation) {
  static constexpr const char* kOperators[] = {
      "+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "", "%=", "^=", "=", "s>>="};
  return operation >> 4 < 13 ? kOperators[operation >> 4] : "";
}

std::string comparison(uint8_t operation) {
  static constexpr const char* kOperators[] = {"",    "==", ">", ">=", "&",  "!=", "s>",
                                               "s>=", "",   "",  "<",  "<=", "s<", "s<="};
  return operation >> 4 < 14 ? kOperators[operation >> 4] : "";
}

std::string memory(const bpf_insn& instruction, uint8_t base) {
  static constexpr const char* kTypes[] = {"u32", "u16", "u8", "u64"};
  int offset = instruction.off;
  return std::string("*(") + kTypes[(instruction.code & kSize) >> 3] + " *)(" + reg(base) +
         (offset < 0 ? " - " : " + ") + std::to_string(offset < 0 ? -offset : offset) + ")";
}

// Where its second operand is a register or a number. 32-bit registers are called w.
std::string operand(const bpf_insn& instruction, bool wide) {
  if (!(instruction.code & kFromRegister)) return std::to_string(instruction.imm);
  std::string out = reg(instruction.src_reg);
  if (!wide) out[0] = 'w';
  return out;
}

std::string alu(const bpf_insn& instruction, bool wide) {
  std::string to = reg(instruction.dst_reg);
  if (!wide) to[0] = 'w';
  uint8_t operation = instruction.code & kOperation;
  if (operation == 0xd0) {
    bool big = instruction.code & kFromRegister;
    std::string name = wide ? "bswap" : big ? "be" : "le";
    return reg(instruction.dst_reg) + " = " + name + std::to_string(instruction.imm) + " " +
           reg(instruction.dst_reg);
  }
  if (operation == 0x80) return to + " = -" + to;
  std::string name = alu_operator(operation);
  return name.empty() ? unknown(instruction) : to + " " + name + " " + operand(instruction, wide);
}

std::string helper(int32_t number) {
  switch (number) {
#define X(value, name) \
  case value:          \
    return #name;
    X(1, map_lookup_elem)
    X(2, map_update_elem)
    X(5, ktime_get_ns)
    X(12, tail_call)
    X(28, csum_diff)
    X(65, xdp_adjust_tail)
    X(113, probe_read_kernel)
    X(163, check_mtu)
    X(188, xdp_get_buff_len)
    X(189, xdp_load_bytes)
    X(190, xdp_store_bytes)
    X(208, ktime_get_tai_ns)
#undef X
    default:
      return std::string(1, '#').append(std::to_string(number));
  }
}

std::string jump(const bpf_insn& instruction, uint32_t place, bool wide) {
  uint8_t operation = instruction.code & kOperation;
  if (instruction.code == 0x95) return "exit";
  if (instruction.code == 0x85) return "call " + helper(instruction.imm);
  std::string to = "goto " + std::to_string(static_cast<int64_t>(place) + 1 + instruction.off);
  if (instruction.code == 0x05) return to;
  std::string name = comparison(operation);
  if (name.empty()) return unknown(instruction);
  std::string left = reg(instruction.dst_reg);
  if (!wide) left[0] = 'w';
  return "if " + left + " " + name + " " + operand(instruction, wide) + " " + to;
}

std::string atomic(const bpf_insn& instruction) {
  std::string place = memory(instruction, instruction.dst_reg), from = reg(instruction.src_reg);
  switch (instruction.imm) {
    case 0x00:
      return "lock " + place + " += " + from;
    case 0x01:
      return from + " = fetch_add(" + place + ", " + from + ")";
    case 0xf1:
      return "r0 = cmpxchg(" + place + ", r0, " + from + ")";
    default:
      return unknown(instruction);
  }
}

std::string store_register(const bpf_insn& instruction) {
  uint8_t mode = instruction.code & kMode;
  if (mode == 0xc0) return atomic(instruction);
  if (mode != 0x60) return unknown(instruction);
  return memory(instruction, instruction.dst_reg) + " = " + reg(instruction.src_reg);
}

std::string wide_immediate(const bpf_insn& low, const bpf_insn& high, const std::string& map) {
  uint64_t upper = static_cast<uint32_t>(high.imm);
  if (low.src_reg == 1) return reg(low.dst_reg) + " = map " + map;
  if (low.src_reg == 2) return reg(low.dst_reg) + " = value of " + map + " + " + std::to_string(upper);
  return reg(low.dst_reg) + " = " + hex(upper << 32 | static_cast<uint32_t>(low.imm)) + " ll";
}

std::string one(const bpf_insn& instruction, uint32_t place) {
  switch (instruction.code & kClass) {
    case Class::load:
      if ((instruction.code & kMode) != 0x60) break;
      return reg(instruction.dst_reg) + " = " + memory(instruction, instruction.src_reg);
    case Class::store_immediate:
      if ((instruction.code & kMode) != 0x60) break;
      return memory(instruction, instruction.dst_reg) + " = " + std::to_string(instruction.imm);
    case Class::store:
      return store_register(instruction);
    case Class::alu32:
    case Class::alu64:
      return alu(instruction, (instruction.code & kClass) == Class::alu64);
    case Class::jump64:
    case Class::jump32:
      return jump(instruction, place, (instruction.code & kClass) == Class::jump64);
  }
  return unknown(instruction);
}

}  // namespace

std::vector<std::string> disassemble(std::span<const bpf_insn> code,
                                     const std::function<std::string(uint32_t place)>& map_at) {
  std::vector<std::string> out;
  for (uint32_t place = 0; place < code.size(); place++) {
    bool wide = code[place].code == 0x18 && place + 1 < code.size();
    std::string text =
        wide ? wide_immediate(code[place], code[place + 1], map_at(place)) : one(code[place], place);
    out.push_back(std::to_string(place) + ": " + text);
    if (wide) place++;
  }
  return out;
}

}  // namespace ksocket::bpf
