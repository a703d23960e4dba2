// Which addresses are the server's, and which this machine's, as programs look them up (MapId::addresses).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "core/xdp/interfaces.h"

namespace ksocket::xdp {

class AddressTable {
 public:
  // `own`: what the socket is bound to; unspecified: every address. `ipv4`, `ipv6`: of these families.
  AddressTable(const Address& own, bool ipv4, bool ipv6) : own_(own), ipv4_(ipv4), ipv6_(ipv6) {}

  // The map has what these interfaces have, and nothing else. Where there are more addresses than it holds,
  // what is sent to those is left to the thread. 0 or -errno.
  int follow(int map, const std::vector<Interface>& present);
  // Another map, which is empty.
  void begin() { known_.clear(); }

 private:
  using Key = std::array<uint8_t, 16>;
  using Flags = std::map<Key, uint32_t>;

  bool serves(const Address& address) const;
  Flags wanted(const std::vector<Interface>& present) const;

  const Address own_;
  const bool ipv4_, ipv6_;
  Flags known_;
};

}  // namespace ksocket::xdp
