#include "core/socket/raw_options.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "core/base/kernel_names.h"

namespace ksocket {

namespace {

constexpr uint8_t kSet = static_cast<uint8_t>(OptionCall::set);
constexpr uint8_t kGet = static_cast<uint8_t>(OptionCall::get);

struct Refused {
  int level, name;
  uint8_t calls;
  const char* why;
};

#define POINTER(name) "is " #name ", whose value holds a pointer"
// Control messages have room for ksocket's own, and the kernel puts others first: the size of the datagrams
// in a joined one could be missing.
#define MESSAGES(name) \
  "is " #name ", which adds control messages: there is room for those of ksocket's own options only"
#define PACKING(name) "is " #name ", and ksocket itself joins and splits datagrams"
#define WAITING(name) "is " #name ", which says nothing here: ksocket waits in no call on a socket"

constexpr Refused kRefused[] = {
    {SOL_SOCKET, SO_ATTACH_FILTER, kSet, POINTER(SO_ATTACH_FILTER)},
    // sk_get_filter takes the length for a number of instructions, and writes eight bytes for each.
    {SOL_SOCKET, SO_ATTACH_FILTER, kGet, "is SO_GET_FILTER, whose length is no number of bytes"},
    {SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, kSet, POINTER(SO_ATTACH_REUSEPORT_CBPF)},
    // Closing a socket in a flood attaches one (stop_arrivals).
    {SOL_SOCKET, SO_LOCK_FILTER, kSet, "is SO_LOCK_FILTER, and ksocket itself has filters to attach"},
    {SOL_SOCKET, SO_RCVTIMEO, kSet, WAITING(SO_RCVTIMEO)},
    {SOL_SOCKET, SO_RCVTIMEO_NEW, kSet, WAITING(SO_RCVTIMEO_NEW)},
    {SOL_SOCKET, SO_SNDTIMEO, kSet, WAITING(SO_SNDTIMEO)},
    {SOL_SOCKET, SO_SNDTIMEO_NEW, kSet, WAITING(SO_SNDTIMEO_NEW)},
    {SOL_SOCKET, SO_RXQ_OVFL, kSet, MESSAGES(SO_RXQ_OVFL)},
    {SOL_SOCKET, SO_TIMESTAMP, kSet, MESSAGES(SO_TIMESTAMP)},
    {SOL_SOCKET, SO_TIMESTAMPNS, kSet, MESSAGES(SO_TIMESTAMPNS)},
    {SOL_SOCKET, SO_TIMESTAMPING, kSet, MESSAGES(SO_TIMESTAMPING)},
    {SOL_SOCKET, SO_TIMESTAMP_NEW, kSet, MESSAGES(SO_TIMESTAMP_NEW)},
    {SOL_SOCKET, SO_TIMESTAMPNS_NEW, kSet, MESSAGES(SO_TIMESTAMPNS_NEW)},
    {SOL_SOCKET, SO_TIMESTAMPING_NEW, kSet, MESSAGES(SO_TIMESTAMPING_NEW)},
    {SOL_SOCKET, SO_WIFI_STATUS, kSet, MESSAGES(SO_WIFI_STATUS)},
    {SOL_SOCKET, SO_RCVMARK, kSet, MESSAGES(SO_RCVMARK)},
    {SOL_SOCKET, SO_RCVPRIORITY, kSet, MESSAGES(SO_RCVPRIORITY)},
    {SOL_SOCKET, SO_PASSSEC, kSet, MESSAGES(SO_PASSSEC)},

    {IPPROTO_UDP, UDP_CORK, kSet, PACKING(UDP_CORK)},
    {IPPROTO_UDP, UDP_SEGMENT, kSet, PACKING(UDP_SEGMENT)},
    {IPPROTO_UDP, UDP_GRO, kSet, PACKING(UDP_GRO)},

    {IPPROTO_IP, IP_PKTINFO, kSet, MESSAGES(IP_PKTINFO)},
    {IPPROTO_IP, IP_RECVTTL, kSet, MESSAGES(IP_RECVTTL)},
    {IPPROTO_IP, IP_RECVTOS, kSet, MESSAGES(IP_RECVTOS)},
    {IPPROTO_IP, IP_RECVOPTS, kSet, MESSAGES(IP_RECVOPTS)},
    {IPPROTO_IP, IP_RETOPTS, kSet, MESSAGES(IP_RETOPTS)},
    {IPPROTO_IP, IP_PASSSEC, kSet, MESSAGES(IP_PASSSEC)},
    {IPPROTO_IP, IP_RECVORIGDSTADDR, kSet, MESSAGES(IP_RECVORIGDSTADDR)},
    {IPPROTO_IP, IP_CHECKSUM, kSet, MESSAGES(IP_CHECKSUM)},
    {IPPROTO_IP, IP_RECVFRAGSIZE, kSet, MESSAGES(IP_RECVFRAGSIZE)},
    {IPPROTO_IP, IP_RECVERR, kSet, MESSAGES(IP_RECVERR)},
    {IPPROTO_IP, IP_RECVERR_RFC4884, kSet, MESSAGES(IP_RECVERR_RFC4884)},

    {IPPROTO_IPV6, IPV6_ADDRFORM, kSet, "is IPV6_ADDRFORM, which makes another socket of it"},
    {IPPROTO_IPV6, IPV6_2292PKTINFO, kSet, MESSAGES(IPV6_2292PKTINFO)},
    {IPPROTO_IPV6, IPV6_2292HOPOPTS, kSet, MESSAGES(IPV6_2292HOPOPTS)},
    {IPPROTO_IPV6, IPV6_2292DSTOPTS, kSet, MESSAGES(IPV6_2292DSTOPTS)},
    {IPPROTO_IPV6, IPV6_2292RTHDR, kSet, MESSAGES(IPV6_2292RTHDR)},
    {IPPROTO_IPV6, IPV6_2292HOPLIMIT, kSet, MESSAGES(IPV6_2292HOPLIMIT)},
    {IPPROTO_IPV6, IPV6_FLOWINFO, kSet, MESSAGES(IPV6_FLOWINFO)},
    {IPPROTO_IPV6, IPV6_RECVERR, kSet, MESSAGES(IPV6_RECVERR)},
    {IPPROTO_IPV6, IPV6_RECVERR_RFC4884, kSet, MESSAGES(IPV6_RECVERR_RFC4884)},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, kSet, MESSAGES(IPV6_RECVPKTINFO)},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, kSet, MESSAGES(IPV6_RECVHOPLIMIT)},
    {IPPROTO_IPV6, IPV6_RECVHOPOPTS, kSet, MESSAGES(IPV6_RECVHOPOPTS)},
    {IPPROTO_IPV6, IPV6_RECVRTHDR, kSet, MESSAGES(IPV6_RECVRTHDR)},
    {IPPROTO_IPV6, IPV6_RECVDSTOPTS, kSet, MESSAGES(IPV6_RECVDSTOPTS)},
    {IPPROTO_IPV6, IPV6_RECVPATHMTU, kSet, MESSAGES(IPV6_RECVPATHMTU)},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, kSet, MESSAGES(IPV6_RECVTCLASS)},
    {IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, kSet, MESSAGES(IPV6_RECVORIGDSTADDR)},
    {IPPROTO_IPV6, IPV6_RECVFRAGSIZE, kSet, MESSAGES(IPV6_RECVFRAGSIZE)},
};

#undef POINTER
#undef MESSAGES
#undef PACKING
#undef WAITING

// Names of the tables of iptables, arptables, ebtables and IPVS, which the levels of IP pass on
// (nf_setsockopt): several have pointers in their values, and in what getsockopt(2) reads before it answers.
constexpr int kNetfilterFirst = 64;       // IPT_BASE_CTL, IP6T_BASE_CTL
constexpr int kOriginalDestination = 80;  // SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST: a sockaddr
constexpr int kNetfilterV6[] = {64, 65, 68, 69};
constexpr int kMulticastRouting = 128;  // and what else is not of IPV6's own

bool is_netfilters(OptionCall call, int level, int name) {
  if (level == IPPROTO_IP) {
    return name >= kNetfilterFirst && !(call == OptionCall::get && name == kOriginalDestination);
  }
  return level == IPPROTO_IPV6 &&
         (name >= kMulticastRouting || std::ranges::find(kNetfilterV6, name) != std::end(kNetfilterV6));
}

// Of others a UDP socket has none.
bool is_known(int level) {
  return level == SOL_SOCKET || level == IPPROTO_IP || level == IPPROTO_IPV6 || level == IPPROTO_UDP;
}

}  // namespace

const char* refusal(OptionCall call, int level, int name) {
  for (const Refused& row : kRefused) {
    if (row.level == level && row.name == name && (row.calls & static_cast<uint8_t>(call)) != 0) {
      return row.why;
    }
  }
  return is_netfilters(call, level, name) ? "is one of Netfilter's, whose values hold pointers" : nullptr;
}

int set_raw_option(int fd, int level, int name, std::span<uint8_t> value) {
  if (!is_known(level)) return -ENOPROTOOPT;
  if (refusal(OptionCall::set, level, name) != nullptr) return -EPERM;
  if (value.size() > INT_MAX) return -EINVAL;
  return setsockopt(fd, level, name, value.data(), static_cast<socklen_t>(value.size())) < 0 ? -errno : 0;
}

int get_raw_option(int fd, int level, int name, std::span<uint8_t> out) {
  if (!is_known(level)) return -ENOPROTOOPT;
  if (refusal(OptionCall::get, level, name) != nullptr) return -EPERM;
  auto length = static_cast<socklen_t>(std::min<size_t>(out.size(), INT_MAX));
  if (getsockopt(fd, level, name, out.data(), &length) < 0) return -errno;
  return static_cast<int>(std::min<size_t>(length, out.size()));  // some say how much there would be
}

}  // namespace ksocket
