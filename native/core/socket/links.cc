#include "core/socket/links.h"

#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>

namespace ksocket {

int list_links(std::vector<Link>* out) {
  ifaddrs* all;
  if (getifaddrs(&all) != 0) return -errno;
  out->clear();
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    // Each interface has one of these.
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_PACKET) continue;
    constexpr unsigned kBoth = IFF_UP | IFF_MULTICAST;
    out->push_back({static_cast<uint32_t>(reinterpret_cast<const sockaddr_ll*>(each->ifa_addr)->sll_ifindex),
                    (each->ifa_flags & kBoth) == kBoth});
  }
  freeifaddrs(all);
  return 0;
}

int open_link_events(Fd* out) {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) return -errno;
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  // An interface can be joined for IPv6 once it has an address of it.
  name.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) < 0) return -errno;
  *out = std::move(fd);
  return 0;
}

void take_link_events(int fd) {
  uint8_t message[4096];  // of which only the arrival counts
  while (recv(fd, message, sizeof message, MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR) {
  }
}

}  // namespace ksocket
