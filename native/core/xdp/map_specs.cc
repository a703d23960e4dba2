#include "core/xdp/map_specs.h"

#include <algorithm>

#include "core/answer/protection/exchanges.h"
#include "core/answer/protection/seen_payloads.h"
#include "core/xdp/list_entries.h"

namespace ksocket::xdp {

namespace {

// Each processor keeps some free places of such a map for itself: with few of them one may find none.
constexpr uint32_t kLruEntriesMin = 1024;

}  // namespace

std::vector<MapSpec> map_specs(const Protection& protection, uint32_t rules, uint32_t numbers,
                               uint32_t programs) {
  auto entries_of = [](const AddressSet* list) {
    return list != nullptr ? static_cast<uint32_t>(std::max<size_t>(1, prefixes_of(*list).size())) : 1;
  };
  return {
      {MapId::addresses, "ks_addresses", BPF_MAP_TYPE_HASH, 16, 4, kAddressesMax, 0},
      {MapId::options, "ks_options", BPF_MAP_TYPE_ARRAY, 4, sizeof(Options), 1, 0},
      {MapId::counters, "ks_counters", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(KernelCounters), 1, 0},
      {MapId::hits, "ks_hits", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, rules, 0},
      {MapId::numbers, "ks_numbers", BPF_MAP_TYPE_ARRAY, 4, 8, numbers, 0},
      {MapId::scratch, "ks_scratch", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(Scratch), 1, 0},
      {MapId::deny, "ks_deny", BPF_MAP_TYPE_LPM_TRIE, sizeof(LpmKey), 1, entries_of(protection.deny),
       BPF_F_NO_PREALLOC},
      {MapId::allow, "ks_allow", BPF_MAP_TYPE_LPM_TRIE, sizeof(LpmKey), 1, entries_of(protection.allow),
       BPF_F_NO_PREALLOC},
      {MapId::per_source, "ks_per_source", BPF_MAP_TYPE_LRU_HASH, sizeof(SourceKey), sizeof(Bucket),
       std::max(protection.sources, kLruEntriesMin), 0},
      {MapId::total, "ks_total", BPF_MAP_TYPE_ARRAY, 4, sizeof(Bucket), 1, 0},
      {MapId::exchanges, "ks_exchanges", BPF_MAP_TYPE_LRU_HASH, sizeof(PeerKey), sizeof(Exchange),
       Exchanges::kPlaces, 0},
      {MapId::seen, "ks_seen", BPF_MAP_TYPE_LRU_HASH, 8, 1, SeenPayloads::kPlaces, 0},
      {MapId::programs, "ks_programs", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, programs, 0},
      {MapId::generic, "ks_generic", BPF_MAP_TYPE_HASH, 4, 1, kInterfacesMax, BPF_F_NO_PREALLOC},
  };
}

}  // namespace ksocket::xdp
