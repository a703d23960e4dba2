#pragma once

#include "clock.h"
#include "json.h"
#include "tally.h"

namespace loadgen {

// What a process has counted and used up to one moment; the difference of two is a measured window.
struct Usage {
  uint64_t time_ns;
  uint64_t user_us;
  uint64_t sys_us;
  uint64_t count;
  uint64_t bytes;
  uint64_t calls;
  uint64_t refused;

  static Usage now(const Tally& tally);
};

uint64_t resident_bytes();

// The `result` line of the protocol that adapters/lib/protocol.mjs speaks too.
JsonLine result_line(const Usage& from, const Usage& to);

}  // namespace loadgen
