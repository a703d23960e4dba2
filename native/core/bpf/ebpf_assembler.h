// Writes eBPF: RFC 9669, and linux/bpf.h. The numbers are the instruction set's, not a header's, as what is
// built on an old system runs on a newer one, too.
//
// Unlike the classic assembler this one writes forward, with labels that are bound later: programs have loops
// and reach farther, and their jumps have 16 bits.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace ksocket::bpf {

enum class Register : uint8_t { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, fp = r10 };

enum class Size : uint8_t { word = 0x00, half = 0x08, byte = 0x10, doubleword = 0x18 };
enum class Alu : uint8_t {
  add = 0x00,
  sub = 0x10,
  mul = 0x20,
  div = 0x30,
  bit_or = 0x40,
  bit_and = 0x50,
  shift_left = 0x60,
  shift_right = 0x70,
  negate = 0x80,
  mod = 0x90,
  bit_xor = 0xa0,
  move = 0xb0,
  arithmetic_shift_right = 0xc0
};
enum class Condition : uint8_t {
  equal = 0x10,
  greater = 0x20,
  at_least = 0x30,
  any_bit = 0x40,
  not_equal = 0x50,
  signed_greater = 0x60,
  signed_at_least = 0x70,
  less = 0xa0,
  at_most = 0xb0,
  signed_less = 0xc0,
  signed_at_most = 0xd0
};

// Functions of the kernel, bpf-helpers(7).
enum class Helper : int32_t {
  map_lookup_elem = 1,
  map_update_elem = 2,
  ktime_get_ns = 5,
  tail_call = 12,
  csum_diff = 28,
  xdp_adjust_tail = 65,
  probe_read_kernel = 113,
  check_mtu = 163,
  xdp_get_buff_len = 188,
  xdp_load_bytes = 189,
  xdp_store_bytes = 190,
  ktime_get_tai_ns = 208
};

class EbpfAssembler {
 public:
  struct Label {
    uint32_t number;
  };
  struct MapReference {
    uint32_t slot;
    uint8_t map;
  };

  EbpfAssembler() { code_.reserve(kUsualSize); }

  Label label();
  void bind(Label label);
  // A label that is bound here.
  Label here();

  // 64 bits, and 32 bits, which clear the upper ones. An immediate is sign-extended to 64.
  void alu(Alu operation, Register to, Register from);
  void alu(Alu operation, Register to, int32_t immediate);
  void alu32(Alu operation, Register to, Register from);
  void alu32(Alu operation, Register to, int32_t immediate);
  void move(Register to, Register from) { alu(Alu::move, to, from); }
  void move(Register to, int32_t immediate) { alu(Alu::move, to, immediate); }
  void move64(Register to, uint64_t immediate);
  // Between the host's order and that of the network; 16, 32 or 64 bits, the upper ones are cleared.
  void big_endian(Register reg, int32_t bits);

  void load(Size size, Register to, Register base, int32_t offset);
  void store(Size size, Register base, int32_t offset, Register from);
  void store(Size size, Register base, int32_t offset, int32_t immediate);
  // 64 bits. `from` gets what was there.
  void fetch_add(Register base, int32_t offset, Register from);
  void atomic_add(Register base, int32_t offset, Register from);
  // If r0 is there, it becomes `from`; r0 gets what was there.
  void compare_exchange(Register base, int32_t offset, Register from);

  void jump(Label to);
  void jump_if(Register left, Condition condition, Register right, Label to);
  void jump_if(Register left, Condition condition, int32_t right, Label to);
  void jump_if32(Register left, Condition condition, Register right, Label to);
  void jump_if32(Register left, Condition condition, int32_t right, Label to);

  void map(Register to, uint8_t map);
  // A place in the value of an array of one element.
  void map_value(Register to, uint8_t map, uint32_t offset);
  void call(Helper helper);
  void exit();

  size_t size() const { return code_.size(); }
  // How many of them may or may not jump: the verifier keeps each it has not followed, 8192 at most.
  size_t branches() const { return branches_; }
  struct Program {
    std::vector<bpf_insn> code;
    std::vector<MapReference> maps;
  };
  // Without instructions that nothing leads to, which the verifier refuses. None: a jump is farther than 16
  // bits reach, or leads to a label that is not bound.
  std::optional<Program> finish() const;

 private:
  static constexpr size_t kUsualSize = 1024;  // in instructions

  void put(uint8_t code, Register to, Register from, int32_t offset, int32_t immediate);
  void put_jump(uint8_t code, Register left, Register right, int32_t immediate, Label to);
  void put_wide(Register to, uint8_t kind, uint32_t low, uint32_t high);

  struct Jump {
    uint32_t at;
    uint32_t label;
  };
  // Of each instruction: 1 if something leads to it.
  std::vector<uint8_t> reachable(const std::vector<uint32_t>& targets) const;

  std::vector<bpf_insn> code_;
  std::vector<uint32_t> labels_;  // where each is bound
  std::vector<Jump> jumps_;
  std::vector<MapReference> maps_;
  size_t branches_ = 0;
};

}  // namespace ksocket::bpf
