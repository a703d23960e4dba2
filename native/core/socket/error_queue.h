// What the network has said of datagrams that a socket has sent: ICMP errors, with IP_RECVERR, ip(7),
// ipv6(7). The kernel keeps them in a queue of their own, with the beginning of the datagram that each is
// about.
#pragma once

#include <cstdint>

#include "core/socket/address.h"

namespace ksocket {

// What ICMP brings back of a datagram, at most (RFC 1812, section 4.3.2.3; RFC 4443, section 2.4).
inline constexpr uint32_t kPeerErrorBytes = 1232;

struct PeerError {
  int error = 0;        // errno
  bool is_own = false;  // this machine says so, of a datagram that it has not sent
  uint8_t type = 0;     // ICMP's, and its code
  uint8_t code = 0;
  uint32_t mtu = 0;     // of EMSGSIZE: what the path takes
  Address peer;         // where the datagram was sent
  Address reporter;     // who says so; family 0: nobody else
  uint32_t length = 0;  // of `data`
  uint8_t data[kPeerErrorBytes];
};

// The oldest of the queue: 0, or -EAGAIN.
int take_peer_error(int fd, PeerError* out);

}  // namespace ksocket
