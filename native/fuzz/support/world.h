// What a fuzzer's input decides in place of the machine, so that an input does the same whenever it runs: the
// clocks, and the seeds of tables. Linked in front of the C library's functions of the same names.
#pragma once

#include <cstdint>

namespace ksocket::fuzz {

// While there is one, every clock but the wall clock says `now_ns`, random bytes are the same each time, and
// the machine has no network interfaces but loopback.
class World {
 public:
  explicit World(uint64_t now_ns);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void pass(uint64_t duration_ns);
  uint64_t now_ns() const;
};

}  // namespace ksocket::fuzz
