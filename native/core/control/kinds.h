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
#include "core/control/credentials.h"
#include "core/control/packet_info.h"
#include "core/control/received_time.h"
#include "core/control/segment_size.h"
#include "core/control/traffic_class.h"

namespace ksocket {

// X(name, type, IPv4 level, IPv4 type, IPv4 form, IPv6 level, IPv6 type, IPv6 form, option)
//
// `name` and `type` are the field that it fills; the form says how many bytes the kernel puts there, and
// reads them. Where the families have a place each, a dual-stack socket is told at either: of an IPv4
// datagram at IPv4's.
//
// For the thread itself, fields of RxControl:
//
//   segment_size  udp_cmsg_recv: the datagrams' size in a joined one
//   kernel_drops  since the socket was made, modulo 2^32; only when there are any
#define KSOCKET_THREAD_KINDS(X)                                                                      \
  X(segment_size, uint16_t, SOL_UDP, UDP_GRO, GroSegmentSize, SOL_UDP, UDP_GRO, GroSegmentSize, gro) \
  X(kernel_drops, std::optional<uint32_t>, SOL_SOCKET, SO_RXQ_OVFL, Copied<uint32_t>, SOL_SOCKET,    \
    SO_RXQ_OVFL, Copied<uint32_t>, report_kernel_drops)

// The same, for JavaScript: a field of Metadata, which travels with the datagram, and of Descriptor
// (core/memory/layout.h).
//
//   received_ns  CLOCK_REALTIME; of joined datagrams the first one's
//   tos          ip_cmsg_recv_tos, ip6_datagram_recv_specific_ctl: with the ECN bits
//   ttl          ip_cmsg_recv_ttl, ip6_datagram_recv_specific_ctl: the hop limit
//
// One number is right for all datagrams that GRO has joined: inet_gro_receive and ipv6_gro_receive end a
// super-datagram where the traffic class or the hop limit changes. Before Linux 6.9 udp_gro_receive_segment
// did not heed that; there it is the first datagram's.
#define KSOCKET_METADATA_KINDS(X)                                                                           \
  X(received_ns, uint64_t, SOL_SOCKET, SCM_TIMESTAMPNS, ReceivedTime, SOL_SOCKET, SCM_TIMESTAMPNS,          \
    ReceivedTime, receive_times)                                                                            \
  X(tos, uint16_t, IPPROTO_IP, IP_TOS, TrafficClass<uint8_t>, IPPROTO_IPV6, IPV6_TCLASS, TrafficClass<int>, \
    receive_tos)                                                                                            \
  X(ttl, uint8_t, IPPROTO_IP, IP_TTL, Copied<int>, IPPROTO_IPV6, IPV6_HOPLIMIT, Copied<int>, receive_ttl)

// The same, of sockets that have room for a PacketInfo: what is read is a part of that.
//
//   local     ip_cmsg_recv_pktinfo, ip6_datagram_recv_common_ctl. Of an IPv4 datagram a dual-stack socket is
//   told
//             twice, at IPv4's place last (udpv6_recvmsg)
//   original  ip_cmsg_recv_dstaddr, ip6_datagram_recv_specific_ctl: the socket's own address where nobody
//             redirects (TPROXY)
//   credentials  of a local socket only (SO_PASSCRED)
#define KSOCKET_PACKET_INFO_KINDS(X)                                                                \
  X(local, PacketInfo, IPPROTO_IP, IP_PKTINFO, LocalIpv4, IPPROTO_IPV6, IPV6_PKTINFO, LocalIpv6,    \
    receive_local)                                                                                  \
  X(original, PacketInfo, IPPROTO_IP, IP_ORIGDSTADDR, OriginalIpv4, IPPROTO_IPV6, IPV6_ORIGDSTADDR, \
    OriginalIpv6, receive_original)                                                                 \
  X(credentials, PacketInfo, SOL_SOCKET, SCM_CREDENTIALS, Credentials, SOL_SOCKET, SCM_CREDENTIALS, \
    Credentials, receive_credentials)

#define KSOCKET_RECEIVED_KINDS(X) \
  KSOCKET_THREAD_KINDS(X) KSOCKET_METADATA_KINDS(X) KSOCKET_PACKET_INFO_KINDS(X)

// X(name, value, level, type)
//
// append_<name>() of core/control/control.h says it. The kernel wants exactly this many bytes (udp_cmsg_send,
// ip_cmsg_send, ip6_datagram_send_ctl, __sock_cmsg_send), and each family passes over what is the other's.
#define KSOCKET_SENT_KINDS(X)                           \
  X(segment_size, uint16_t, SOL_UDP, UDP_SEGMENT)       \
  X(tos_v4, int, IPPROTO_IP, IP_TOS)                    \
  X(tos_v6, int, IPPROTO_IPV6, IPV6_TCLASS)             \
  X(ttl_v4, int, IPPROTO_IP, IP_TTL)                    \
  X(ttl_v6, int, IPPROTO_IPV6, IPV6_HOPLIMIT)           \
  X(source_v4, in_pktinfo, IPPROTO_IP, IP_PKTINFO)      \
  X(source_v6, in6_pktinfo, IPPROTO_IPV6, IPV6_PKTINFO) \
  X(timed, uint32_t, SOL_SOCKET, SO_TIMESTAMPING)       \
  X(send_id, uint32_t, SOL_SOCKET, SCM_TS_OPT_ID)       \
  X(tx_time, uint64_t, SOL_SOCKET, SCM_TXTIME)

}  // namespace ksocket
