#include <ctime>

#include "fuzz/support/fuzz.h"

namespace {

uint64_t inputs = 0;

// What a machine that does other things besides cannot change much.
void say_speed() {
  double seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  std::fprintf(stderr, "%lu inputs, %.1f s of processor time\n", inputs, seconds);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  return std::atexit(say_speed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  inputs++;
  ksocket::test::Random in(std::span(data, size));
  ksocket::fuzz::run(in);
  return 0;
}

// With the usual 256 MiB of freed memory that is kept back no block would be warm when it is used again, and
// the usual 30 callers of each allocation, or any, cost more than the allocation. ASAN_OPTIONS has them again
// where an input is looked at.
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=4:malloc_context_size=0";
}
