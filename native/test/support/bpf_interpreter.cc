#include "support/bpf_interpreter.h"

#include <algorithm>
#include <stdexcept>

namespace ksocket::test {

namespace {

constexpr uint16_t kLoadWord = BPF_LD | BPF_W | BPF_ABS;
constexpr uint16_t kLoadByte = BPF_LD | BPF_B | BPF_ABS;
constexpr uint16_t kShiftRight = BPF_ALU | BPF_RSH | BPF_K;
constexpr uint16_t kJump = BPF_JMP | BPF_JA;
constexpr uint16_t kJumpIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
constexpr uint16_t kJumpIfAtLeast = BPF_JMP | BPF_JGE | BPF_K;
constexpr uint16_t kReturn = BPF_RET | BPF_K;

constexpr uint32_t kNetworkHeader = static_cast<uint32_t>(SKF_NET_OFF);

}  // namespace

std::string check_program(std::span<const sock_filter> program) {
  if (program.empty()) return "is empty";
  if (program.size() > BPF_MAXINSNS) return "is too long";
  std::vector<bool> reached(program.size());
  reached[0] = true;
  for (size_t at = 0; at < program.size(); at++) {
    auto wrong = [&](const char* what) { return "instruction " + std::to_string(at) + " " + what; };
    if (!reached[at]) return wrong("is never reached");
    const sock_filter& instruction = program[at];
    std::vector<uint64_t> next{at + 1};
    switch (instruction.code) {
      case kLoadWord:
      case kLoadByte:
        if (instruction.k < kNetworkHeader) return wrong("loads from the datagram");
        break;
      case kShiftRight:
        if (instruction.k >= 32) return wrong("shifts by 32 bits or more");
        break;
      case kJump:
        next = {at + 1 + uint64_t{instruction.k}};
        break;
      case kJumpIfEqual:
      case kJumpIfAtLeast:
        next = {at + 1 + instruction.jt, at + 1 + instruction.jf};
        break;
      case kReturn:
        next.clear();
        break;
      default:
        return wrong("is unknown");
    }
    for (uint64_t to : next) {
      if (to >= program.size()) return wrong("leads out of the program");
      reached[to] = true;
    }
  }
  return "";
}

uint32_t run_program(std::span<const sock_filter> program, std::span<const uint8_t> network_header) {
  uint32_t a = 0;
  for (size_t at = 0; at < program.size(); at++) {
    const sock_filter& instruction = program[at];
    switch (instruction.code) {
      case kLoadWord:
      case kLoadByte: {
        size_t size = instruction.code == kLoadWord ? 4 : 1, offset = instruction.k - kNetworkHeader;
        if (offset + size > network_header.size()) return 0;
        a = 0;
        for (size_t i = 0; i < size; i++) a = a << 8 | network_header[offset + i];
        break;
      }
      case kShiftRight:
        a >>= instruction.k;
        break;
      case kJump:
        at += instruction.k;
        break;
      case kJumpIfEqual:
        at += a == instruction.k ? instruction.jt : instruction.jf;
        break;
      case kJumpIfAtLeast:
        at += a >= instruction.k ? instruction.jt : instruction.jf;
        break;
      case kReturn:
        return instruction.k;
      default:
        throw std::logic_error("check_program() was not asked");
    }
  }
  throw std::logic_error("check_program() was not asked");
}

std::vector<uint8_t> network_header(const Address& source) {
  bool ipv4 = source.family == 4;
  std::vector<uint8_t> out(ipv4 ? 20 : 40, 0xff);
  out[0] = ipv4 ? 0x45 : 0x6f;
  std::copy_n(source.bytes, ipv4 ? 4 : 16, out.begin() + (ipv4 ? 12 : 8));
  return out;
}

}  // namespace ksocket::test
