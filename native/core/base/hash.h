// Hashes for tables whose keys outsiders choose, and the seed that keeps them from aiming at one place of
// such a table.
#pragma once

#include <sys/random.h>

#include <cstdint>
#include <initializer_list>

namespace ksocket {

// splitmix64's finalizer over all parts.
inline uint64_t seeded_hash(uint64_t seed, std::initializer_list<uint64_t> parts) {
  uint64_t h = seed;
  for (uint64_t part : parts) {
    h += part + 0x9e3779b97f4a7c15;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
    h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
    h ^= h >> 31;
  }
  return h;
}

inline uint64_t random_seed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = reinterpret_cast<uintptr_t>(&seed);
  return seed;
}

}  // namespace ksocket
