// What a socket is told to leave out. A program that answers before it knows nothing of that.
#pragma once

namespace ksocket::xdp {

// "" where all that is sent to its address and port comes to it, else what it is: "that is connected".
const char* restriction_of(int socket);

}  // namespace ksocket::xdp
