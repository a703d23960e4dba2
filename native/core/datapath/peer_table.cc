#include "core/datapath/peer_table.h"

#include <cstring>

#include "core/base/hash.h"

namespace ksocket {

PeerTable::PeerTable(uint32_t capacity, uint64_t seed)
    : entries_(capacity), set_mask_(capacity / kWays - 1), seed_(seed) {}

uint64_t PeerTable::hash(const Address& address) const {
  uint64_t low, high;
  std::memcpy(&low, address.bytes, 8);
  std::memcpy(&high, address.bytes + 8, 8);
  uint64_t rest = uint64_t{address.scope_id} << 32 | uint32_t{address.port} << 8 | address.family;
  return seeded_hash(seed_, {low, high, rest});
}

PeerTable::Found PeerTable::intern(const Address& address) {
  clock_++;
  if (entries_[last_].address == address) {
    entries_[last_].seen = clock_;
    return {last_, false, false};
  }
  uint32_t first = (static_cast<uint32_t>(hash(address)) & set_mask_) * kWays;
  uint32_t oldest = first;
  for (uint32_t id = first; id < first + kWays; id++) {
    Entry& entry = entries_[id];
    if (entry.address == address) {
      entry.seen = clock_;
      last_ = id;
      return {id, false, false};
    }
    if (entries_[oldest].address.family == 0) continue;  // a free place was found already
    if (entry.address.family == 0 || clock_ - entry.seen > clock_ - entries_[oldest].seen) oldest = id;
  }
  bool evicted = entries_[oldest].address.family != 0;
  entries_[oldest] = {address, clock_};
  last_ = oldest;
  return {oldest, true, evicted};
}

}  // namespace ksocket
