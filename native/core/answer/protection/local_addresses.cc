#include "core/answer/protection/local_addresses.h"

#include <ifaddrs.h>

#include <algorithm>

namespace ksocket {

bool LocalAddresses::contains(const Address& address, uint64_t now_ns) {
  std::optional<uint32_t> ipv4 = ipv4_number(address);
  if (ipv4 && *ipv4 >> 24 == 127) return true;
  if (read_ns_ == 0 || now_ns - read_ns_ >= kStaleNs) {
    read();
    read_ns_ = now_ns;
  }
  return std::binary_search(hosts_.begin(), hosts_.end(), host_number(address));
}

// Where the call is refused (a sandbox), the machine has only its loopback addresses.
void LocalAddresses::read() {
  hosts_ = {{0, 1}};  // ::1
  ifaddrs* interfaces = nullptr;
  if (getifaddrs(&interfaces) != 0) return;
  for (const ifaddrs* each = interfaces; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    Address address = from_sockaddr(each->ifa_addr);
    if (address.family != 0) hosts_.push_back(host_number(address));
  }
  freeifaddrs(interfaces);
  std::sort(hosts_.begin(), hosts_.end());
}

}  // namespace ksocket
