// The kinds of socket, a row each: what the kernel calls them, and where one differs from the others.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>

namespace ksocket {

// unix(7), of datagrams. Those of IP are 4 and 6.
inline constexpr uint8_t kLocal = 1;

struct Family {
  uint8_t number;  // what JavaScript, descriptors and addresses call it
  int domain;      // what socket(2) calls it
  socklen_t name_bytes;
};

inline constexpr Family kFamilies[] = {
    {kLocal, AF_UNIX, sizeof(sockaddr_un)},
    {4, AF_INET, sizeof(sockaddr_in)},
    {6, AF_INET6, sizeof(sockaddr_in6)},
};

inline int to_af(uint8_t family) {
  for (const Family& row : kFamilies) {
    if (row.number == family) return row.domain;
  }
  return AF_UNSPEC;
}

// 0: there is no such kind.
inline uint8_t from_af(int domain) {
  for (const Family& row : kFamilies) {
    if (row.domain == domain) return row.number;
  }
  return 0;
}

}  // namespace ksocket
