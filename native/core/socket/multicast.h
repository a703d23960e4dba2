// Multicast membership and the outgoing interface: ip(7) IP_ADD_MEMBERSHIP and friends, ipv6(7), RFC 3678.
// Addresses are text, as users give them; what does not parse is -EINVAL. The group's family decides.
#pragma once

#include <cstdint>
#include <string>

namespace ksocket {

// Joins or leaves `group`. `interface`: an IPv4 address of the interface, for IPv6 any address with a zone
// (::%eth0), or empty for the system's choice. `source`: only what this sender sends (source-specific), or
// empty.
int set_membership(int fd, bool join, const std::string& group, const std::string& interface,
                   const std::string& source);

// 0, or -EINVAL: it is no multicast address.
int check_group(const std::string& group);
// As set_membership, on the interface of this index, which needs no address.
int set_membership_at(int fd, bool join, const std::string& group, uint32_t ifindex,
                      const std::string& source);

// The interface that multicasts leave through; an address as above.
int set_multicast_interface(int fd, const std::string& interface);

}  // namespace ksocket
