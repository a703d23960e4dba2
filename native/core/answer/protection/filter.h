// Allow and deny lists as a classic BPF program, so that the kernel drops a datagram before it takes a place
// in the socket's receive buffer: socket(7), SO_ATTACH_FILTER.
//
// The program is an optimisation. Whoever attaches it decides the same again in user space, where lists of
// any length fit: compile_filter() gives none for lists that are too long, attach_filter() may be refused.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "core/answer/protection/address_set.h"

namespace ksocket {

// The program for a UDP socket of `family` (4, or 6, dual-stack or not). It keeps a datagram whole whose
// source is in `allow` (nullptr: no such list) and not in `deny`, and drops the others.
// Empty: there is nothing to drop, or it would be longer than BPF_MAXINSNS. About 2000 separate IPv4 ranges
// or IPv6 /32s fit, 850 /48s or /64s, 380 single IPv6 addresses.
std::vector<sock_filter> compile_filter(const AddressSet& deny, const AddressSet* allow, uint8_t family);

}  // namespace ksocket
