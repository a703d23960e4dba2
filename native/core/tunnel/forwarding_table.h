// Behind which remote an Ethernet address is, as a switch learns it: from where its frames come. Bounded;
// what has not been heard of for long is forgotten. What was told stays, and nobody else can say it of
// himself.
#pragma once

#include <cstdint>
#include <cstring>
#include <unordered_map>

#include "core/base/hash.h"

namespace ksocket {

class ForwardingTable {
 public:
  static constexpr uint32_t kUnknown = UINT32_MAX;
  using Mac = uint64_t;  // its six bytes, the first one the lowest, on a machine that has it so

  enum class Learned : uint8_t { known, added, moved, full, refused };

  ForwardingTable(uint32_t entries_max, uint64_t age_ns) : entries_max_(entries_max), age_ns_(age_ns) {}

  static Mac mac_of(const uint8_t* bytes) {
    Mac out = 0;
    std::memcpy(&out, bytes, 6);
    return out;
  }
  // Everybody's, or a group's.
  static bool is_group(const uint8_t* bytes) { return (bytes[0] & 1) != 0; }

  // Before anything is learned. Does not count against the bound. Of one that was told before, the latest
  // counts.
  void set(Mac mac, uint32_t remote) {
    if (entries_.insert_or_assign(mac, Entry{remote, kStays}).second) stays_++;
  }

  // A frame of `mac` has come from this remote.
  Learned learn(Mac mac, uint32_t remote, uint64_t now_ns) {
    auto found = entries_.find(mac);
    if (found == entries_.end()) {
      if (entries_.size() - stays_ >= entries_max_) return Learned::full;
      entries_.emplace(mac, Entry{remote, now_ns});
      return Learned::added;
    }
    Entry& entry = found->second;
    bool moved = entry.remote != remote;
    if (entry.heard_ns == kStays) return moved ? Learned::refused : Learned::known;
    entry = {remote, now_ns};
    return moved ? Learned::moved : Learned::known;
  }

  uint32_t find(Mac mac, uint64_t now_ns) const {
    auto found = entries_.find(mac);
    return found == entries_.end() || is_old(found->second, now_ns) ? kUnknown : found->second.remote;
  }

  void forget_old(uint64_t now_ns) {
    std::erase_if(entries_, [&](const auto& each) { return is_old(each.second, now_ns); });
  }
  size_t size() const { return entries_.size(); }

 private:
  static constexpr uint64_t kStays = UINT64_MAX;
  struct Entry {
    uint32_t remote;
    uint64_t heard_ns;  // or kStays
  };
  struct Hash {
    uint64_t seed;
    size_t operator()(Mac mac) const { return seeded_hash(seed, {mac}); }
  };

  bool is_old(const Entry& entry, uint64_t now_ns) const {
    return entry.heard_ns != kStays && now_ns - entry.heard_ns > age_ns_;
  }

  const uint32_t entries_max_;
  const uint64_t age_ns_;
  size_t stays_ = 0;
  std::unordered_map<Mac, Entry, Hash> entries_{0, Hash{random_seed()}};
};

}  // namespace ksocket
