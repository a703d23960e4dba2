// Programs of the BPF assembler: whatever jumps where, and however far, what is executed is what was written.
#include <vector>

#include "core/bpf/assembler.h"
#include "fuzz/support/fuzz.h"
#include "support/bpf_interpreter.h"

namespace ksocket::fuzz {

namespace {

constexpr uint32_t kFirst = 0x0a000000;

// What was written: a branch on the last byte of the source, or a verdict.
struct Node {
  bool is_verdict;
  bool passes;          // a verdict
  uint16_t comparison;  // a branch
  uint32_t k;
  size_t when_true, when_false;  // nodes before this one
  bpf::Label label;
};

bool interpret(const std::vector<Node>& nodes, uint32_t value) {
  for (size_t at = nodes.size() - 1;;) {
    const Node& node = nodes[at];
    if (node.is_verdict) return node.passes;
    bool holds = node.comparison == BPF_JEQ ? value == node.k : value >= node.k;
    at = holds ? node.when_true : node.when_false;
  }
}

}  // namespace

void run(Random& in) {
  bpf::Assembler out;
  std::vector<Node> nodes;
  for (bool passes : {false, true}) nodes.push_back({true, passes, 0, 0, 0, 0, out.verdict(passes)});
  for (uint32_t count = 1 + in.below(20); count > 0 && in.left() > 0; count--) {
    if (in.one_in(6)) {
      bool passes = in.one_in(2);
      nodes.push_back({true, passes, 0, 0, 0, 0, out.verdict(passes)});
      continue;
    }
    uint16_t comparison = in.one_in(2) ? BPF_JEQ : BPF_JGE;
    uint32_t k = kFirst + in.below(6), leads = in.below(3);
    // A run of branches that lead back to one node or two, so that those get out of reach.
    size_t back = in.below(65536) % nodes.size(), other = in.below(65536) % nodes.size();
    for (uint32_t n = in.one_in(24) ? 1 + in.below(256) : 1; n > 0; n--) {
      size_t last = nodes.size() - 1;
      size_t when_true = leads == 0 ? last : back, when_false = leads == 0 ? back : leads == 1 ? last : other;
      bpf::Label label = out.branch(comparison, k, nodes[when_true].label, nodes[when_false].label);
      nodes.push_back({false, false, comparison, k, when_true, when_false, label});
    }
  }
  out.statement(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_NET_OFF) + 12, nodes.back().label);
  if (out.size() > BPF_MAXINSNS) return;
  std::vector<sock_filter> program = std::move(out).finish();
  for (uint32_t last = 0; last < 6; last++) {
    Address source;
    source.family = 4;
    source.bytes[0] = 10;
    source.bytes[3] = static_cast<uint8_t>(last);
    bool passes = test::run_program(program, test::network_header(source)) != 0;
    must(passes == interpret(nodes, kFirst + last), "the program is what was written");
  }
}

}  // namespace ksocket::fuzz
