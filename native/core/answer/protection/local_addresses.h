// Which IP addresses are this machine's: getifaddrs(3), and all of 127.0.0.0/8 (ip-address(8): a prefix on lo
// is local as a whole).
#pragma once

#include <cstdint>
#include <vector>

#include "core/answer/protection/source.h"

namespace ksocket {

class LocalAddresses {
 public:
  // Reads them again when they are older than kStaleNs: interfaces come and go. Port and zone do not count.
  bool contains(const Address& address, uint64_t now_ns);

 private:
  static constexpr uint64_t kStaleNs = 1'000'000'000;

  void read();

  std::vector<Ipv6Number> hosts_;  // ascending
  uint64_t read_ns_ = 0;           // 0: not yet
};

}  // namespace ksocket
