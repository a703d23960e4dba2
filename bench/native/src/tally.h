#pragma once

#include <atomic>
#include <cstdint>

namespace loadgen {

// Written by one worker, read at any moment by the thread that reports: relaxed is enough, and free.
class Counter {
 public:
  void add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct Tally {
  Counter count;    // datagrams, after GRO was split or before GSO was joined
  Counter bytes;    // payload bytes
  Counter calls;    // system calls that moved at least one datagram
  Counter refused;  // sends that the kernel refused
};

}  // namespace loadgen
