// What a socket is told to leave out. A program that answers before it knows nothing of that.
#pragma once

namespace ksocket::xdp {

// What servers themselves do to their sockets: lists in a filter, which is not locked, and a group at the
// port.
struct OwnRestrictions {
  bool filter = false, port = false;
};

// "" where all that is sent to its address and port comes to it, else what it is: "that is connected".
const char* restriction_of(int socket, OwnRestrictions own = {});

}  // namespace ksocket::xdp
