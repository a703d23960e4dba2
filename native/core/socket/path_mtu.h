// What the kernel knows of the largest packet that gets to a host in one piece: IP_MTU and IPV6_MTU, ip(7).
#pragma once

#include <cstdint>

#include "core/socket/address.h"

namespace ksocket {

// Bytes, with the headers of IP and UDP, on the way that datagrams of this socket to `to` take; or -errno, of
// connect(2) where there is no way. Nothing is sent, and the socket stays as it is: one that has its source,
// device and mark is connected in its place. -EACCES, unless it is to be `to_many`, for what is everybody's
// (SO_BROADCAST).
int path_mtu(int fd, uint8_t family, const Address& to, bool to_many = true);

}  // namespace ksocket
