// A kernel in a bad mood, for LD_PRELOAD: send calls on UDP sockets are refused as the environment says.
//
//   KERNEL_BLOCKS_WHILE=FILE   sends fail with EAGAIN as long as FILE exists
//   KERNEL_GSO_ERRNO=N         super-datagrams (UDP_SEGMENT) fail with this errno
//   KERNEL_GSO_SEGMENTS=N      super-datagrams of more than N datagrams fail with EINVAL
//   KERNEL_LACKS_IDS=1         SCM_TS_OPT_ID is EINVAL, as before Linux 6.13
//   KERNEL_MISSES=ERRNO        the times of datagrams that have a departure time (SCM_TXTIME) become reports
//                              of this errno, as etf's are: ECANCELED (missed), EINVAL
//   KERNEL_TAKES=N             no sendmmsg(2) takes more than N messages
//   KERNEL_REFUSES_CHMOD=1     chmod(2) fails with EPERM
//   KERNEL_LACKS_LINKS=N       a socket that is to hear of network interfaces (NETLINK_ROUTE) fails with
//   errno N KERNEL_LACKS=LEVEL:NAME:N  this socket option fails with errno N
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

// Behind the C library's timespec.
#include <linux/errqueue.h>
#include <linux/netlink.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#ifndef SCM_TXTIME
#define SCM_TXTIME 61
#endif
#ifndef SCM_TS_OPT_ID
#define SCM_TS_OPT_ID 81
#endif

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// The datagrams of a super-datagram; 0 of any other.
size_t segments_of(const msghdr& header) {
  size_t bytes = 0;
  for (size_t i = 0; i < header.msg_iovlen; i++) bytes += header.msg_iov[i].iov_len;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(const_cast<msghdr*>(&header), c)) {
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_SEGMENT) continue;
    uint16_t each;
    std::memcpy(&each, CMSG_DATA(c), sizeof each);
    return (bytes + each - 1) / each;
  }
  return 0;
}

std::atomic<uint64_t> departure{0};  // of the latest datagram that has one

template <typename Value>
bool find(const msghdr& header, int type, Value* value) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(const_cast<msghdr*>(&header), c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != type) continue;
    std::memcpy(value, CMSG_DATA(c), sizeof *value);
    return true;
  }
  return false;
}

// sch_etf.c, report_sock_error
void report_departure(msghdr* header, int error) {
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_type != IP_RECVERR || c->cmsg_level != IPPROTO_IP) continue;
    auto* extended = reinterpret_cast<sock_extended_err*>(CMSG_DATA(c));
    if (extended->ee_origin != SO_EE_ORIGIN_TIMESTAMPING) continue;
    extended->ee_errno = static_cast<uint32_t>(error);
    extended->ee_origin = 6;  // SO_EE_ORIGIN_TXTIME
    extended->ee_code = error == ECANCELED ? 2 : 1;
    extended->ee_data = static_cast<uint32_t>(departure >> 32);
    extended->ee_info = static_cast<uint32_t>(departure);
  }
}

// 0: let it through.
int refusal(int fd, const msghdr& header) {
  int type = 0;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_DGRAM) return 0;
  const char* file = std::getenv("KERNEL_BLOCKS_WHILE");
  if (file && access(file, F_OK) == 0) return EAGAIN;
  uint32_t id;
  if (std::getenv("KERNEL_LACKS_IDS") && find(header, SCM_TS_OPT_ID, &id)) return EINVAL;
  uint64_t at;
  if (find(header, SCM_TXTIME, &at)) departure = at;
  const char* gso = std::getenv("KERNEL_GSO_ERRNO");
  size_t segments = segments_of(header);
  if (gso && segments > 0) return std::atoi(gso);
  const char* most = std::getenv("KERNEL_GSO_SEGMENTS");
  if (most && segments > static_cast<size_t>(std::atoi(most))) return EINVAL;
  return 0;
}

}  // namespace

extern "C" {

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  int lacking[3] = {-1, -1, 0};
  const char* lacks = std::getenv("KERNEL_LACKS");
  if (lacks) std::sscanf(lacks, "%d:%d:%d", &lacking[0], &lacking[1], &lacking[2]);
  if (level == lacking[0] && name == lacking[1]) return errno = lacking[2], -1;
  return next<decltype(setsockopt)>("setsockopt")(fd, level, name, value, size);
}

int chmod(const char* path, mode_t mode) noexcept {
  if (std::getenv("KERNEL_REFUSES_CHMOD")) return errno = EPERM, -1;
  return next<int(const char*, mode_t)>("chmod")(path, mode);
}

int bind(int fd, const sockaddr* name, socklen_t size) {
  const char* lacks = std::getenv("KERNEL_LACKS_LINKS");
  if (lacks && name->sa_family == AF_NETLINK && reinterpret_cast<const sockaddr_nl*>(name)->nl_groups != 0)
    return errno = std::atoi(lacks), -1;
  return next<decltype(bind)>("bind")(fd, name, size);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  ssize_t got = next<decltype(recvmsg)>("recvmsg")(fd, message, flags);
  const char* misses = std::getenv("KERNEL_MISSES");
  if (misses && got >= 0 && (flags & MSG_ERRQUEUE) && departure != 0) {
    // Without the time that it has in truth.
    report_departure(message, std::atoi(misses));
    cmsghdr* first = CMSG_FIRSTHDR(message);
    if (first && first->cmsg_type == SO_TIMESTAMPING) first->cmsg_type = -1;
  }
  return got;
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (int error = refusal(fd, *message)) return errno = error, -1;
  return next<decltype(sendmsg)>("sendmsg")(fd, message, flags);
}

ssize_t sendto(int fd, const void* data, size_t bytes, int flags, const sockaddr* to, socklen_t to_bytes) {
  iovec piece{const_cast<void*>(data), bytes};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (int error = refusal(fd, message)) return errno = error, -1;
  return next<decltype(sendto)>("sendto")(fd, data, bytes, flags, to, to_bytes);
}

int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags) {
  unsigned int accepted = 0;
  const char* takes = std::getenv("KERNEL_TAKES");
  if (takes) count = std::min(count, static_cast<unsigned>(std::atoi(takes)));
  for (; accepted < count; accepted++) {
    int error = refusal(fd, messages[accepted].msg_hdr);
    if (error == 0) continue;
    if (accepted == 0) return errno = error, -1;
    break;
  }
  return next<decltype(sendmmsg)>("sendmmsg")(fd, messages, accepted, flags);
}
}
