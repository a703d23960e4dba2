#include "core/socket/links.h"

#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace ksocket {

namespace {

// Below it the kernel ends an interface's IPv6 (RFC 8200), and says no more of it than the MTU.
constexpr uint32_t kIpv6LeastMtu = 1280;

bool is_too_small_for_ipv6(const nlmsghdr* message) {
  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  auto left = static_cast<int>(IFLA_PAYLOAD(message));
  for (const rtattr* each = IFLA_RTA(info); RTA_OK(each, left); each = RTA_NEXT(each, left)) {
    if (each->rta_type != IFLA_MTU || RTA_PAYLOAD(each) < sizeof(uint32_t)) continue;
    uint32_t mtu;
    std::memcpy(&mtu, RTA_DATA(each), sizeof mtu);
    return mtu < kIpv6LeastMtu;
  }
  return false;
}

void note_gone(const nlmsghdr* message, LinksGone* out) {
  if (message->nlmsg_type != RTM_DELLINK && message->nlmsg_type != RTM_NEWLINK) return;
  if (message->nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) return;
  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  if (info->ifi_family != AF_UNSPEC) return;  // a port has left its bridge
  auto ifindex = static_cast<uint32_t>(info->ifi_index);
  if (message->nlmsg_type == RTM_DELLINK)
    out->links.insert(ifindex);
  else if (is_too_small_for_ipv6(message))
    out->of_ipv6.insert(ifindex);
}

}  // namespace

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

LinksGone take_link_events(int fd) {
  LinksGone out;
  alignas(nlmsghdr) uint8_t messages[32768];  // as long as the kernel makes them
  while (true) {
    ssize_t received = recv(fd, messages, sizeof messages, MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && errno != ENOBUFS) return out;
    if (received < 0) {
      out.any = true;
      continue;
    }
    auto left = static_cast<uint32_t>(received);
    for (auto* each = reinterpret_cast<const nlmsghdr*>(messages); NLMSG_OK(each, left);
         each = NLMSG_NEXT(each, left))
      note_gone(each, &out);
  }
}

}  // namespace ksocket
