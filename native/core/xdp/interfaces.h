// The network interfaces of this machine with what attaching to them has to know: netdevice(7).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/socket/address.h"

namespace ksocket::xdp {

struct Interface {
  uint32_t ifindex = 0;
  std::string name;
  bool is_up = false;
  bool has_frames = false;  // Ethernet's, which is what the programs read: not of tun, ppp, WireGuard
  std::vector<Address> addresses{};
  std::vector<Address> broadcasts{};  // of its IPv4 networks
  std::array<uint8_t, 6> hardware{};
  bool is_loopback = false;
};

// 0 or -errno. The caller's network namespace.
int list_interfaces(std::vector<Interface>* out);

// What its driver does to frames: ethtool(8).
struct Offloads {
  // One end of a virtual cable. A frame that a native program sends back stays in the kernel's queue unless
  // the other end, which may be in another namespace, has a native program as well (veth_xdp_flush() of the
  // kernel).
  bool is_veth = false;
  // What a virtual machine or a VPN has joined, tun shows to native programs as well.
  bool is_tap = false;
  bool takes_tags_off = false, puts_tags_on = false;  // of VLANs
};
Offloads offloads_of(const std::string& name);

}  // namespace ksocket::xdp
