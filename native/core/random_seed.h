// A number that outsiders cannot guess: for hash tables that they could otherwise aim at.
#pragma once

#include <sys/random.h>

#include <cstdint>

namespace ksocket {

inline uint64_t random_seed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = reinterpret_cast<uintptr_t>(&seed);
  return seed;
}

}  // namespace ksocket
