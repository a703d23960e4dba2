// What this kernel, and the sandbox around us, can do for UDP.
#pragma once

#include <cstdint>

namespace ksocket {

struct Features {
  bool mmsg;              // recvmmsg(2) and sendmmsg(2)
  bool epoll;             // epoll(7) and eventfd(2)
  bool gro;               // UDP_GRO
  bool gso;               // UDP_SEGMENT
  uint32_t gso_segments;  // what one message may join; 0 without
  bool kernel_drops;      // SO_RXQ_OVFL
  bool busy_poll;         // SO_BUSY_POLL may be set
  bool filter;            // SO_ATTACH_FILTER
  bool ipv6;              // an IPv6 socket can be made
};
Features probe_features();

}  // namespace ksocket
