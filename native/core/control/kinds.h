// The kinds of control messages: what the kernel says beside a datagram (cmsg(3)), and what we say beside one
// to send. A kind is a row here; one whose value is more than a copy of bytes has a header of its own in this
// folder. The option that turns a kind on has its row in core/socket/options.h.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "core/base/kernel_names.h"
#include "core/control/copied.h"
#include "core/control/received_time.h"
#include "core/control/segment_size.h"

namespace ksocket {

// X(name, type, IPv4 level, IPv4 type, IPv4 form, IPv6 level, IPv6 type, IPv6 form, option)
//
// `name` and `type` are the field of RxControl; the form says how many bytes the kernel puts there, and reads
// them. Where the families have a place each, a dual-stack socket is told at either: beside an IPv4 datagram
// at IPv4's.
//
//   segment_size  udp_cmsg_recv: the datagrams' size in a joined one
//   kernel_drops  since the socket was made, modulo 2^32; only when there are any
//   received_ns   CLOCK_REALTIME
#define KSOCKET_RECEIVED_KINDS(X)                                                                    \
  X(segment_size, uint16_t, SOL_UDP, UDP_GRO, GroSegmentSize, SOL_UDP, UDP_GRO, GroSegmentSize, gro) \
  X(kernel_drops, std::optional<uint32_t>, SOL_SOCKET, SO_RXQ_OVFL, Copied<uint32_t>, SOL_SOCKET,    \
    SO_RXQ_OVFL, Copied<uint32_t>, report_kernel_drops)                                              \
  X(received_ns, uint64_t, SOL_SOCKET, SCM_TIMESTAMPNS, ReceivedTime, SOL_SOCKET, SCM_TIMESTAMPNS,   \
    ReceivedTime, receive_times)

// X(name, value, IPv4 level, IPv4 type, IPv6 level, IPv6 type)
//
// append_<name>() of core/control/control.h says it. The kernel wants exactly this many bytes
// (udp_cmsg_send).
#define KSOCKET_SENT_KINDS(X) X(segment_size, uint16_t, SOL_UDP, UDP_SEGMENT, SOL_UDP, UDP_SEGMENT)

}  // namespace ksocket
