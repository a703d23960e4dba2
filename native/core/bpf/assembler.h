// Writes classic BPF: linux/filter.h, and Documentation/networking/filter.rst of the kernel.
//
// A program is written from its end to its beginning: jumps go forward only, so that where they lead is
// known.
#pragma once

#include <linux/filter.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ksocket::bpf {

// An instruction, by how many there are from it to the end of the program.
using Label = size_t;

class Assembler {
 public:
  Label statement(uint16_t code, uint32_t k) {
    code_.push_back({code, 0, 0, k});
    return code_.size();
  }
  // A statement after which `next` is executed.
  Label statement(uint16_t code, uint32_t k, Label next) {
    if (distance(next) != 0) jump(next);
    return statement(code, k);
  }
  Label branch(uint16_t comparison, uint32_t k, Label when_true, Label when_false) {
    when_true = within_reach(when_true);
    when_false = within_reach(when_false);
    code_.push_back({static_cast<uint16_t>(BPF_JMP | comparison | BPF_K),
                     static_cast<uint8_t>(distance(when_true)), static_cast<uint8_t>(distance(when_false)),
                     k});
    return code_.size();
  }
  // Ends the program here. The instruction is shared by all who can reach it.
  Label verdict(bool passes) {
    Label& label = verdicts_[passes];
    if (label == 0 || distance(label) > kNear) label = statement(BPF_RET | BPF_K, passes ? UINT32_MAX : 0);
    return label;
  }

  size_t size() const { return code_.size(); }
  std::vector<sock_filter> finish() && {
    std::reverse(code_.begin(), code_.end());
    return std::move(code_);
  }

 private:
  static constexpr size_t kReach = UINT8_MAX;  // of a conditional jump
  static constexpr size_t kNear = kReach / 2;  // leaves room for what comes between here and the jump

  // Over how many instructions the next one written would have to jump.
  size_t distance(Label label) const { return code_.size() - label; }
  Label jump(Label to) { return statement(BPF_JMP | BPF_JA, static_cast<uint32_t>(distance(to))); }
  // A branch has two of them, and the second may move the first one instruction farther away.
  Label within_reach(Label label) { return distance(label) < kReach ? label : jump(label); }

  std::vector<sock_filter> code_;
  Label verdicts_[2] = {0, 0};
};

}  // namespace ksocket::bpf
