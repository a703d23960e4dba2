// The network interfaces of this machine with what attaching to them has to know: netdevice(7).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/socket/address.h"

namespace ksocket::xdp {

struct Interface {
  uint32_t ifindex;
  std::string name;
  bool is_up = false;
  bool has_frames = false;  // Ethernet's, which is what the programs read: not of tun, ppp, WireGuard
  std::vector<Address> addresses;
  std::vector<Address> broadcasts;  // of its IPv4 networks
};

// 0 or -errno. The caller's network namespace.
int list_interfaces(std::vector<Interface>* out);

// One end of a virtual cable. A frame that a native program sends back stays in the kernel's queue unless the
// other end, which may be in another namespace, has a native program as well (veth_xdp_flush() of the
// kernel).
bool is_veth(const std::string& name);

}  // namespace ksocket::xdp
