// The network interfaces of this machine, and when they change: netdevice(7), rtnetlink(7).
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/fd.h"

namespace ksocket {

struct Link {
  uint32_t ifindex;
  bool takes_multicast;  // it is up and can
};

// With an address or without. 0 or -errno.
int list_links(std::vector<Link>* out);

// A descriptor that is readable when one comes, goes, or changes. 0 or -errno.
int open_link_events(Fd* out);
// Takes what it has to say. What was lost for want of room counts as a change, too.
void take_link_events(int fd);

}  // namespace ksocket
