// What every fuzzer starts with: its input as choices, and how it says that something does not hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/random.h"

namespace ksocket::fuzz {

using test::Random;

inline void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "✖ does not hold: %s\n", what);
  std::abort();  // libFuzzer keeps the input
}
inline void must_agree(const std::string& disagreement) {
  must(disagreement.empty(), disagreement.c_str());
}

// A fuzzer is this function: one input, nothing left behind.
void run(Random& in);

}  // namespace ksocket::fuzz
