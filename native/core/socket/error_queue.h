// What the network and the kernel have said of datagrams that a socket has sent: ICMP errors, with
// IP_RECVERR, ip(7), ipv6(7), and the times at which they were sent, with SO_TIMESTAMPING and SO_TXTIME,
// socket(7). The kernel keeps all of them in a queue of their own; with an error goes the beginning of its
// datagram.
#pragma once

#include <cstdint>

#include "core/socket/address.h"

namespace ksocket {

// What ICMP brings back of a datagram, at most (RFC 1812, section 4.3.2.3; RFC 4443, section 2.4).
inline constexpr uint32_t kPeerErrorBytes = 1232;

// Of whom a time is. `invalid` and `missed` are of datagrams that were not sent: the time that they asked for
// is none, or had passed.
enum class SendTimeKind : uint8_t { none = 0, software = 1, missed = 2, invalid = 3 };

struct PeerError {
  int error = 0;        // errno
  bool is_own = false;  // this machine says so, of a datagram that it has not sent
  uint8_t type = 0;     // ICMP's, and its code
  uint8_t code = 0;
  uint32_t mtu = 0;                             // of EMSGSIZE: what the path takes
  SendTimeKind time_kind = SendTimeKind::none;  // else it is no error; the last two and `id` are all there is
  uint32_t id = 0;                              // that the datagram was sent with; 0 of one that was not sent
  uint64_t time_ns = 0;  // CLOCK_REALTIME; of a datagram that was not sent by SO_TXTIME's clock
  Address peer;          // where the datagram was sent
  Address reporter;      // who says so; family 0: nobody else
  uint32_t length = 0;   // of `data`
  uint8_t data[kPeerErrorBytes];
};

// The oldest of the queue: 0, or -EAGAIN.
int take_peer_error(int fd, PeerError* out);

}  // namespace ksocket
