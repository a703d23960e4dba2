// A socket's filter, classic BPF that the kernel runs before it queues a datagram: socket(7),
// SO_ATTACH_FILTER. It sees the datagram from the UDP header on. Every function returns 0 or -errno; -EPERM
// once it is locked.
#pragma once

#include <linux/filter.h>

#include <span>

namespace ksocket {

// Makes `program`, if it is not empty, the filter of the socket, at once instead of the one that it had.
// -ENOMEM where it does not fit net.core.optmem_max (20 KiB on older kernels).
int attach_filter(int fd, std::span<const sock_filter> program);
// The socket has none.
int detach_filter(int fd);
// Nobody can change it any more, or take it away.
int lock_filter(int fd);

}  // namespace ksocket
