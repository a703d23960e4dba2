// Address → small number. Bounded: a set-associative table that forgets the least recently seen address of a
// set, so that a flood of spoofed sources costs no memory and no more than one set's worth of comparing.
#pragma once

#include <cstdint>

#include "core/base/zeroed.h"
#include "core/socket/address.h"

namespace ksocket {

class PeerTable {
 public:
  static constexpr uint32_t kWays = 8;

  // `capacity`: a power of two, at least kWays. `seed` keeps outsiders from aiming at one set.
  PeerTable(uint32_t capacity, uint64_t seed);

  struct Found {
    uint32_t id;   // < capacity
    bool is_new;   // the id did not stand for this address before
    bool evicted;  // … but for another one
  };
  Found intern(const Address& address);

  uint32_t capacity() const { return static_cast<uint32_t>(entries_.size()); }

 private:
  struct Entry {
    Address address;  // family 0: free
    uint32_t seen = 0;
  };
  uint64_t hash(const Address& address) const;

  Zeroed<Entry> entries_;
  uint32_t set_mask_;
  uint64_t seed_;
  uint32_t clock_ = 0;
  uint32_t last_ = 0;  // most traffic is a run from one peer
};

}  // namespace ksocket
