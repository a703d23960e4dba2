// Socket options, as a table: a name JavaScript knows, and where the kernel keeps it for each family.
// To add one: a row here, then `npm run generate`; lib/socket/options.ts says how users set it.
#pragma once

#include <cstdint>
#include <span>

namespace ksocket {

// X(name, IPv4 level, IPv4 option, IPv6 level, IPv6 option). Level -1: this family does not have it.
// All of them take an int, but for a device, which is a name, and a rate, which may be 64 bits. See
// socket(7), ip(7), ipv6(7), udp(7).
#define KSOCKET_OPTIONS(X)                                                                \
  X(reuse_address, SOL_SOCKET, SO_REUSEADDR, SOL_SOCKET, SO_REUSEADDR)                    \
  X(reuse_port, SOL_SOCKET, SO_REUSEPORT, SOL_SOCKET, SO_REUSEPORT)                       \
  X(ipv6_only, -1, 0, IPPROTO_IPV6, IPV6_V6ONLY)                                          \
  X(broadcast, SOL_SOCKET, SO_BROADCAST, SOL_SOCKET, SO_BROADCAST)                        \
  X(receive_buffer_bytes, SOL_SOCKET, SO_RCVBUF, SOL_SOCKET, SO_RCVBUF)                   \
  X(send_buffer_bytes, SOL_SOCKET, SO_SNDBUF, SOL_SOCKET, SO_SNDBUF)                      \
  X(ttl, IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS)                             \
  X(multicast_ttl, IPPROTO_IP, IP_MULTICAST_TTL, IPPROTO_IPV6, IPV6_MULTICAST_HOPS)       \
  X(multicast_loopback, IPPROTO_IP, IP_MULTICAST_LOOP, IPPROTO_IPV6, IPV6_MULTICAST_LOOP) \
  X(report_kernel_drops, SOL_SOCKET, SO_RXQ_OVFL, SOL_SOCKET, SO_RXQ_OVFL)                \
  X(gro, IPPROTO_UDP, UDP_GRO, IPPROTO_UDP, UDP_GRO)                                      \
  X(receive_times, SOL_SOCKET, SO_TIMESTAMPNS, SOL_SOCKET, SO_TIMESTAMPNS)                \
  X(busy_poll, SOL_SOCKET, SO_BUSY_POLL, SOL_SOCKET, SO_BUSY_POLL)                        \
  X(prefer_busy_poll, SOL_SOCKET, SO_PREFER_BUSY_POLL, SOL_SOCKET, SO_PREFER_BUSY_POLL)   \
  X(receive_ttl, IPPROTO_IP, IP_RECVTTL, IPPROTO_IPV6, IPV6_RECVHOPLIMIT)                 \
  X(receive_tos, IPPROTO_IP, IP_RECVTOS, IPPROTO_IPV6, IPV6_RECVTCLASS)                   \
  X(receive_local, IPPROTO_IP, IP_PKTINFO, IPPROTO_IPV6, IPV6_RECVPKTINFO)                \
  X(receive_original, IPPROTO_IP, IP_RECVORIGDSTADDR, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR) \
  X(receive_errors, IPPROTO_IP, IP_RECVERR, IPPROTO_IPV6, IPV6_RECVERR)                   \
  X(receive_credentials, -1, 0, -1, 0)                                                    \
  X(send_times, SOL_SOCKET, SO_TIMESTAMPING, SOL_SOCKET, SO_TIMESTAMPING)                 \
  X(tx_time, SOL_SOCKET, SO_TXTIME, SOL_SOCKET, SO_TXTIME)                                \
  X(bind_to_device, SOL_SOCKET, SO_BINDTODEVICE, SOL_SOCKET, SO_BINDTODEVICE)             \
  X(mark, SOL_SOCKET, SO_MARK, SOL_SOCKET, SO_MARK)                                       \
  X(transparent, IPPROTO_IP, IP_TRANSPARENT, IPPROTO_IPV6, IPV6_TRANSPARENT)              \
  X(freebind, IPPROTO_IP, IP_FREEBIND, IPPROTO_IPV6, IPV6_FREEBIND)                       \
  X(mtu_discover, IPPROTO_IP, IP_MTU_DISCOVER, IPPROTO_IPV6, IPV6_MTU_DISCOVER)           \
  X(max_pacing_rate, SOL_SOCKET, SO_MAX_PACING_RATE, SOL_SOCKET, SO_MAX_PACING_RATE)

// Those that the kernel keeps for each family, so that on a dual-stack socket both have to be set.
// (Transparent and freebind it keeps once, whichever of the two names is used: inet_sk(sk)->inet_flags.)
#define KSOCKET_OPTIONS_OF_EACH_FAMILY(X) X(mtu_discover) X(receive_errors)

// X(name, level, option)
//
// Those that local sockets have a place of their own for; of the others they have IPv4's, which is
// SOL_SOCKET's or none.
#define KSOCKET_OPTIONS_OF_LOCAL_SOCKETS(X) X(receive_credentials, SOL_SOCKET, SO_PASSCRED)

enum class SocketOption : uint32_t {
#define X(name, ...) name,
  KSOCKET_OPTIONS(X)
#undef X
      kCount
};

// 0 or -errno; -ENOPROTOOPT where the family does not have the option.
int set_option(int fd, uint8_t family, SocketOption option, int value);
int set_option(int fd, uint8_t family, SocketOption option, std::span<const uint8_t> value);
int get_option(int fd, uint8_t family, SocketOption option, int* value);
// The same of a socket that is made for it: may this process set it?
int probe_option(SocketOption option, std::span<const uint8_t> value);

}  // namespace ksocket
