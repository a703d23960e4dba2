// Names of the kernel (linux/udp.h, asm/socket.h, linux/eventpoll.h) that older C libraries lack. They are
// part of its interface and do not change.
#pragma once

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
