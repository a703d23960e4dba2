// Names of the kernel (linux/udp.h, linux/in.h, linux/in6.h, asm/socket.h, linux/eventpoll.h) that older C
// libraries lack. They are part of its interface and do not change.
#pragma once

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdint>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103  // since Linux 4.18
#endif
#ifndef UDP_GRO
#define UDP_GRO 104  // since Linux 5.0
#endif
#ifndef IP_FREEBIND
#define IP_FREEBIND 15
#endif
#ifndef IP_TRANSPARENT
#define IP_TRANSPARENT 19
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75  // since Linux 2.6.37
#endif
#ifndef IPV6_UNICAST_IF
#define IPV6_UNICAST_IF 76  // since Linux 3.4
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78  // since Linux 4.15
#endif
#ifndef SO_TIMESTAMP_NEW
#define SO_TIMESTAMP_NEW 63  // since Linux 5.1, as the next four
#define SO_TIMESTAMPNS_NEW 64
#define SO_TIMESTAMPING_NEW 65
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#endif
#ifndef SO_TXTIME
#define SO_TXTIME 61  // since Linux 4.19
#endif
#ifndef SCM_TXTIME
#define SCM_TXTIME SO_TXTIME
#endif
#ifndef SCM_TS_OPT_ID
#define SCM_TS_OPT_ID 81  // since Linux 6.13
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75  // since Linux 5.19
#endif
#ifndef SO_RCVPRIORITY
#define SO_RCVPRIORITY 82  // since Linux 6.14
#endif
#ifndef IP_RECVFRAGSIZE
#define IP_RECVFRAGSIZE 25  // since Linux 4.10
#endif
#ifndef IP_RECVERR_RFC4884
#define IP_RECVERR_RFC4884 26  // since Linux 5.9
#endif
#ifndef IPV6_RECVERR_RFC4884
#define IPV6_RECVERR_RFC4884 31  // since Linux 5.9
#endif
#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO 11
#endif
#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74  // since Linux 2.6.38
#endif
#ifndef IPV6_RECVFRAGSIZE
#define IPV6_RECVFRAGSIZE 77  // since Linux 4.10
#endif
#ifndef UDP_CORK
#define UDP_CORK 1
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69  // since Linux 5.11
#endif

namespace ksocket {

// struct epoll_params and EPIOCSPARAMS, since Linux 6.9.
struct EpollParams {
  uint32_t busy_poll_usecs;
  uint16_t busy_poll_budget;
  uint8_t prefer_busy_poll;
  uint8_t padding;  // 0
};
inline constexpr unsigned long kSetEpollParams = _IOW(0x8A, 0x01, EpollParams);

}  // namespace ksocket
