// SCM_RIGHTS, unix(7): descriptors that came with a datagram.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace ksocket {

// Nobody has asked for them: whoever may send to a socket must not fill the process's table of descriptors.
// What did not fit into the buffer the kernel has closed by itself (MSG_CTRUNC).
inline void close_rights(const msghdr& header) {
  msghdr* mutable_header = const_cast<msghdr*>(&header);  // CMSG_NXTHDR takes no const
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(mutable_header, c)) {
    if (c->cmsg_len < CMSG_LEN(0)) break;
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
      close(fd);
    }
  }
}

}  // namespace ksocket
