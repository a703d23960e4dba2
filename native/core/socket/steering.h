// Which of the sockets that share a port gets a datagram: socket(7), SO_REUSEPORT and
// SO_ATTACH_REUSEPORT_CBPF.
//
// The program sees a datagram from its payload on (reuseport_select_sock() of the kernel), what lies before
// by SKF_NET_OFF, and returns a socket's number: in the order of bind(2), but when a socket closes the last
// one takes its place. A number that no socket has leaves it to the kernel's hash, and so does a program that
// is none; a load beyond the datagram's end returns 0.
#pragma once

#include <linux/filter.h>

#include <span>

namespace ksocket {

// For all sockets of the port, in the place of the program before. 0 or -errno: -EINVAL where the socket is
// bound, and no other one shares its port.
int attach_steering(int fd, std::span<const sock_filter> program);
// May this process steer? 0 or -errno, of a socket that is made to find out.
int probe_steering();

}  // namespace ksocket
