// Lists of ranges as networks, which is what an LPM trie holds.
#pragma once

#include <vector>

#include "core/xdp/compile.h"

namespace ksocket::xdp {

// Of all lists together; a trie's node is some 60 bytes of the kernel's memory.
inline constexpr size_t kPrefixesMax = 1 << 18;

bool lists_fit(const Protection& protection);
std::vector<LpmKey> prefixes_of(const AddressSet& set);
std::vector<MapEntry> list_entries(const Protection& protection);

}  // namespace ksocket::xdp
