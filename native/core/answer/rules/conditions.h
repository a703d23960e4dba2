// The conditions of a rule other than how its payload begins, which the trie decides.
#pragma once

#include "core/answer/rules/rule.h"

namespace ksocket::rules {

// The address without the port, in network order. An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) is
// what a socket for both families gets instead of an IPv4 one, so it counts as that.
std::span<const uint8_t> ip_bytes(const Address& address);
std::span<const uint8_t> ip_bytes(uint8_t family, const uint8_t (&address)[16]);

// Length, masks, source and destination port, and what the kernel says.
bool conditions_hold(const Match& match, const Request& request);

}  // namespace ksocket::rules
