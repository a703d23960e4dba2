// What kind of thing a descriptor is, in libuv's words (uv_guess_handle).
#pragma once

namespace ksocket {

// "UDP", "TCP", "PIPE", "FILE", "TTY", "UNKNOWN" or "INVALID".
const char* fd_type(int fd);

// IPv4: 4, IPv6: 6, datagrams of unix(7): kLocal, else 0.
int fd_family(int fd);

}  // namespace ksocket
