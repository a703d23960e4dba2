// A datagram socket's descriptor and the system calls of its life. Every function returns 0 (or what it says)
// or -errno.
#pragma once

#include "core/base/fd.h"
#include "core/socket/address.h"

namespace ksocket {

// Non-blocking, close-on-exec.
int open_datagram(uint8_t family, Fd* out);
int bind_socket(int fd, const Address& address);
int connect_socket(int fd, const Address& address);
int disconnect_socket(int fd);
// Empties the queue of errors that IP_RECVERR fills: while there are any, the socket counts as readable.
void drop_errors(int fd);
// Nothing is taken into the receive buffer any more. Of everybody who has this socket open. -EPERM where its
// filter is locked.
int stop_arrivals(int fd);
// getsockname(2), or getpeername(2).
int socket_name(int fd, bool peer, Address* out);

}  // namespace ksocket
