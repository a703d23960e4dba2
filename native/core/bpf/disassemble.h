// eBPF as text, in the notation of the kernel's verifier: r1 = *(u32 *)(r7 + 44).
#pragma once

#include <linux/bpf.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ksocket::bpf {

// A line an instruction, of which ld_imm64 is two places: jumps say the place they lead to. `map_at`: what
// the map is called that the instruction at this place refers to. What is no instruction that EbpfAssembler
// writes is told in hexadecimal.
std::vector<std::string> disassemble(std::span<const bpf_insn> code,
                                     const std::function<std::string(uint32_t place)>& map_at);

}  // namespace ksocket::bpf
