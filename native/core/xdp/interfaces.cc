#include "core/xdp/interfaces.h"

#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/fd.h"

namespace ksocket::xdp {

namespace {

// RFC 919, RFC 922: all ones behind the network's prefix, all zeroes, which were that once, and what somebody
// has set. A prefix of 31 bits has none (RFC 3021). Where nothing was set, what is said is the address.
void add_broadcasts(const ifaddrs& each, const Address& address, Interface* out) {
  if (each.ifa_broadaddr != nullptr) {
    Address set = from_sockaddr(each.ifa_broadaddr);
    if (set.family == 4 && !(set == address)) out->broadcasts.push_back(set);
  }
  if (each.ifa_netmask == nullptr) return;
  Address mask = from_sockaddr(each.ifa_netmask);
  if (mask.family != 4 || mask.bytes[3] > 0xfc) return;
  Address ones = address, zeroes = address;
  for (int i = 0; i < 4; i++) {
    ones.bytes[i] = static_cast<uint8_t>(address.bytes[i] | ~mask.bytes[i]);
    zeroes.bytes[i] = address.bytes[i] & mask.bytes[i];
  }
  out->broadcasts.push_back(ones);
  out->broadcasts.push_back(zeroes);
}

}  // namespace

int list_interfaces(std::vector<Interface>* out) {
  ifaddrs* all;
  if (getifaddrs(&all) != 0) return -errno;
  out->clear();
  // Each interface has one of these.
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_PACKET) continue;
    const auto* link = reinterpret_cast<const sockaddr_ll*>(each->ifa_addr);
    Interface interface;
    interface.ifindex = static_cast<uint32_t>(link->sll_ifindex);
    interface.name = each->ifa_name;
    interface.is_up = (each->ifa_flags & IFF_UP) != 0;
    interface.is_loopback = link->sll_hatype == ARPHRD_LOOPBACK;
    interface.has_frames = interface.is_loopback || link->sll_hatype == ARPHRD_ETHER;
    if (link->sll_halen == interface.hardware.size())
      std::memcpy(interface.hardware.data(), link->sll_addr, interface.hardware.size());
    out->push_back(std::move(interface));
  }
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    Address address = from_sockaddr(each->ifa_addr);
    if (address.family == 0) continue;
    // A label of an address (eth0:1) names its interface as well.
    std::string_view name(each->ifa_name, strcspn(each->ifa_name, ":"));
    auto at = std::find_if(out->begin(), out->end(), [&](const Interface& one) { return one.name == name; });
    if (at == out->end()) continue;
    at->addresses.push_back(address);
    if (address.family == 4 && (each->ifa_flags & IFF_BROADCAST) != 0) add_broadcasts(*each, address, &*at);
  }
  freeifaddrs(all);
  return 0;
}

Offloads offloads_of(const std::string& name) {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) fd = Fd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), sizeof request.ifr_name - 1);
  auto ask = [&](void* value) {
    request.ifr_data = static_cast<char*>(value);
    return ioctl(fd.get(), SIOCETHTOOL, &request) == 0;
  };
  Offloads out;
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (ask(&driver)) {
    out.is_veth = std::strcmp(driver.driver, "veth") == 0;
    out.is_tap = std::strcmp(driver.driver, "tun") == 0;
  }
  ethtool_value flags{ETHTOOL_GFLAGS, 0};
  if (ask(&flags)) {
    out.takes_tags_off = (flags.data & ETH_FLAG_RXVLAN) != 0;
    out.puts_tags_on = (flags.data & ETH_FLAG_TXVLAN) != 0;
  }
  return out;
}

}  // namespace ksocket::xdp
