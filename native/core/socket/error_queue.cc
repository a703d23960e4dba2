#include "core/socket/error_queue.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace ksocket {

namespace {

constexpr uint8_t kOriginTxTime = 6;  // SO_EE_ORIGIN_TXTIME, since Linux 4.19

// scm_timestamping: software's, nothing, hardware's
void read_time(const cmsghdr& message, PeerError* out) {
  timespec time;
  if (message.cmsg_len - CMSG_LEN(0) < sizeof time) return;
  std::memcpy(&time, CMSG_DATA(&message), sizeof time);
  out->time_ns = static_cast<uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(time.tv_nsec);
}

void read_extended(const cmsghdr& message, PeerError* out) {
  size_t bytes = message.cmsg_len - CMSG_LEN(0);
  sock_extended_err extended;
  if (bytes < sizeof extended) return;
  std::memcpy(&extended, CMSG_DATA(&message), sizeof extended);
  if (extended.ee_origin == SO_EE_ORIGIN_TIMESTAMPING) {
    out->time_kind = SendTimeKind::software;
    out->id = extended.ee_data;
    return;
  }
  if (extended.ee_origin == kOriginTxTime) {
    out->time_kind = extended.ee_errno == ECANCELED ? SendTimeKind::missed : SendTimeKind::invalid;
    out->time_ns = uint64_t{extended.ee_data} << 32 | extended.ee_info;
    return;
  }
  out->error = static_cast<int>(extended.ee_errno);
  out->is_own = extended.ee_origin == SO_EE_ORIGIN_LOCAL;
  out->type = extended.ee_type;
  out->code = extended.ee_code;
  out->mtu = extended.ee_errno == EMSGSIZE ? extended.ee_info : 0;
  SockAddr reporter;  // SO_EE_OFFENDER
  size_t room = bytes - sizeof extended;
  if (room < sizeof(sockaddr_in)) return;
  std::memcpy(&reporter.v6, CMSG_DATA(&message) + sizeof extended,
              room < sizeof reporter.v6 ? room : sizeof reporter.v6);
  if (reporter.any.sa_family == AF_INET6 && room < sizeof reporter.v6) return;
  out->reporter = from_sockaddr(&reporter.any);
}

}  // namespace

int take_peer_error(int fd, PeerError* out) {
  SockAddr peer;
  iovec payload{out->data, sizeof out->data};
  alignas(cmsghdr) uint8_t control[512];
  msghdr header{};
  header.msg_name = &peer.any;
  header.msg_namelen = sizeof peer.v6;
  header.msg_iov = &payload;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return -errno;
  out->length = static_cast<uint32_t>(got);
  out->peer = header.msg_namelen > 0 ? from_sockaddr(&peer.any) : Address{};
  out->reporter = {};
  out->error = 0;
  out->is_own = false;
  out->time_kind = SendTimeKind::none;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    bool is_error = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
    if (is_error) read_extended(*c, out);
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING) read_time(*c, out);
  }
  return 0;
}

}  // namespace ksocket
