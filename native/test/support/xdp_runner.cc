#include "support/xdp_runner.h"

#include <cstddef>

namespace ksocket::test {

xdp::KernelCounters XdpRunner::counters() const {
  std::vector<uint64_t> numbers = sum(xdp::MapId::counters, 0, sizeof(xdp::KernelCounters) / 8);
  xdp::KernelCounters out;
#define X(name, doc) out.name = numbers[offsetof(xdp::KernelCounters, name) / 8];
  KSOCKET_KERNEL_COUNTERS(X)
#undef X
  return out;
}

std::vector<uint64_t> XdpRunner::hits() const {
  std::vector<uint64_t> out;
  for (uint32_t i = 0; i < rules_; i++) out.push_back(sum(xdp::MapId::hits, i, 1)[0]);
  return out;
}

}  // namespace ksocket::test
