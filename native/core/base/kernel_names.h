// Names of the kernel (linux/udp.h) that older C libraries lack. They are part of its interface and do not
// change.
#pragma once

#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103  // since Linux 4.18
#endif
#ifndef UDP_GRO
#define UDP_GRO 104  // since Linux 5.0
#endif
