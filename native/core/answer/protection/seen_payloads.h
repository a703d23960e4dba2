// Which payloads have been here lately, by their hashes: bounded, and what is new may push out what is older.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/base/hash.h"
#include "core/base/zeroed.h"

namespace ksocket {

inline uint64_t payload_hash(uint64_t seed, std::span<const uint8_t> payload) {
  uint64_t hash = seeded_hash(seed, {payload.size()});
  for (size_t at = 0; at < payload.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, payload.data() + at, std::min<size_t>(8, payload.size() - at));
    hash = seeded_hash(hash, {word});
  }
  return hash;
}

class SeenPayloads {
 public:
  // A loop's datagrams wait in receive buffers: some five thousand small ones fit into one of 4 MiB. With a
  // quarter of the places taken, hardly any set has more than it holds.
  static constexpr uint32_t kPlaces = 32768;
  static constexpr uint32_t kWays = 8;

  SeenPayloads() : tags_(kPlaces) {}

  // Was it there? It is from now on.
  bool add(uint64_t hash) {
    uint32_t tag = static_cast<uint32_t>(hash >> 32) | 1;  // 0: nothing was there yet
    uint32_t* set = &tags_[hash % (kPlaces / kWays) * kWays];
    uint32_t* end = set + kWays;
    uint32_t* found = std::find(set, end, tag);
    if (found != end) return true;
    std::copy_backward(set, end - 1, end);  // the oldest goes
    *set = tag;
    return false;
  }

 private:
  Zeroed<uint32_t> tags_;
};

}  // namespace ksocket
