// The program that an interface has: looks whose datagram a frame may be, and goes on with that server's
// programs. Small, so that there may be one for each interface, with what is the interface's in it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/xdp/compile.h"
#include "core/xdp/joined_frames.h"

namespace ksocket::xdp {

using HardwareAddress = std::array<uint8_t, 6>;

// Which datagrams are a server's. `address`: in network order; none: to whichever.
struct Route {
  uint16_t port = 0;
  bool ipv4 = true, ipv6 = true;
  std::optional<std::array<uint8_t, 4>> ipv4_address;
  std::optional<std::array<uint8_t, 16>> ipv6_address;

  bool has_address() const { return ipv4_address || ipv6_address; }
  // There are datagrams that are both's.
  bool meets(const Route& other) const;
};

struct Entry {
  struct Way {
    uint32_t server;  // its place among the servers
    Route route;
  };
  // The interface's. Frames to others are not for this machine, whoever shows them to it.
  HardwareAddress hardware{};
  // Frames come from a machine, which has a hardware address: not on lo.
  bool from_machines = true;
  // Given: frames that are joined of several datagrams are left to the thread (generic mode).
  std::optional<JoinedFrames> joined;
  std::vector<Way> ways;
};

// Of each server in the array of programs MapId::servers.
inline constexpr uint32_t kServersMax = 128;
inline constexpr uint32_t first_place(uint32_t server) {
  return 2 * server;
}
inline constexpr uint32_t left_place(uint32_t server) {  // CompiledRules::left
  return 2 * server + 1;
}

Program compile_entry(const Entry& entry);

}  // namespace ksocket::xdp
