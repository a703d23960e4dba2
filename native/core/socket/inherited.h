// A descriptor that another program has left to this one: systemd(1) above all, sd_listen_fds(3).
#pragma once

#include <cstdint>
#include <string>

namespace ksocket {

struct InheritedSocket {
  // "udp4", "udp6", "tcp4", "tcp6", "unix_dgram", "unix_stream", "unix_seqpacket" or "other".
  const char* type = "other";
  // Where it is bound: an address and a port, or a path, an abstract name with the zero in front. Empty:
  // nowhere, or it is of another type.
  std::string name;
  uint16_t port = 0;
};

// Says what it is, and keeps it from the programs that this one starts (FD_CLOEXEC). -EBADF: it is not open.
int claim_inherited(int fd, InheritedSocket* out);

}  // namespace ksocket
