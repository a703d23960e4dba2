// The network interfaces of this machine, and when they change: netdevice(7), rtnetlink(7).
#pragma once

#include <cstdint>
#include <set>
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
// Whose state in the kernel has ended, memberships with it, though an interface of this index may be there
// again.
struct LinksGone {
  std::set<uint32_t> links;
  std::set<uint32_t> of_ipv6;  // their IPv6 alone
  bool any = false;            // messages were lost: any of them may have
};
// Takes what it has to say.
LinksGone take_link_events(int fd);

}  // namespace ksocket
