// The same scenarios, guided by coverage: libFuzzer chooses the bytes, of which the first is the kind and
// each further one a decision.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "simulate/scenario.h"

namespace {

constexpr uint64_t kStepsMax = 400;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ksocket::simulate;
  if (size == 0) return 0;
  const KindName& kind = kinds()[data[0] % kinds().size()];
  Decisions decisions(std::vector<uint16_t>(data + 1, data + size));
  Result result = run(kind.kind, decisions, kStepsMax);
  if (result.failure.empty()) return 0;
  std::fprintf(stderr, "%s: %s\n", kind.name, result.failure.c_str());
  std::abort();
}
