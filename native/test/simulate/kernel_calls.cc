// Receiving and sending.
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/kernel_names.h"
#include "core/base/udp_limits.h"
#include "simulate/kernel.h"
#include "simulate/payload.h"

namespace ksocket::simulate {

namespace {

// recv(2), recvmmsg(2), and what an ICMP message or a firewall leaves in a socket, icmp_err_convert.
constexpr int kReceiveErrors[] = {EAGAIN,       EINTR,       ECONNREFUSED, ENOMEM,      ENOBUFS,
                                  EHOSTUNREACH, ENETUNREACH, EHOSTDOWN,    EPROTO,      EMSGSIZE,
                                  EACCES,       EPERM,       ENONET,       ENOPROTOOPT, EOPNOTSUPP,
                                  EINVAL,       ENOTCONN,    ETIMEDOUT,    EIO};
// … and of those after which a descriptor is of no use.
constexpr int kFatalErrors[] = {EBADF, ENOTSOCK, EFAULT};
// send(2), sendmmsg(2), udp(7), ip(7).
constexpr int kSendErrors[] = {EAGAIN,    EINTR,   EACCES,     ECONNREFUSED,  EHOSTUNREACH, ENETUNREACH,
                               EMSGSIZE,  ENOBUFS, ENOMEM,     EPERM,         EINVAL,       EIO,
                               EHOSTDOWN, EPROTO,  ENONET,     EADDRNOTAVAIL, EDESTADDRREQ, ENOTCONN,
                               EISCONN,   EPIPE,   EOPNOTSUPP, EFAULT,        ECONNRESET,   EALREADY,
                               EBADF,     ENOTSOCK};

// put_cmsg(): what does not fit is cut.
template <typename Value>
void put_control(msghdr* header, size_t* used, int level, int type, const Value& value) {
  if (*used + CMSG_SPACE(sizeof value) > header->msg_controllen) {
    header->msg_flags |= MSG_CTRUNC;
    return;
  }
  auto* c = reinterpret_cast<cmsghdr*>(static_cast<uint8_t*>(header->msg_control) + *used);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
  *used += CMSG_SPACE(sizeof value);
}

void fill(Message* message, const Datagram& datagram, const Socket& socket, uint64_t realtime_ns) {
  msghdr& header = message->header;
  uint32_t length = std::min(datagram.length, static_cast<uint32_t>(header.msg_iov[0].iov_len));
  auto* to = static_cast<uint8_t*>(header.msg_iov[0].iov_base);
  uint32_t each = datagram.segment_size != 0 ? datagram.segment_size : length;
  for (uint32_t at = 0, i = 0; at < length; at += each, i++) {
    write_payload(datagram.number + i * kNumberStep, {to + at, std::min(each, length - at)});
  }
  message->length = length;
  header.msg_flags = length < datagram.length ? MSG_TRUNC : 0;
  SockAddr name = to_sockaddr(datagram.from);
  std::memcpy(header.msg_name, &name.any, std::min(name.length, header.msg_namelen));
  header.msg_namelen = name.length;

  size_t used = 0;
  struct Foreign {
    uint8_t bytes[24];
  };
  if (socket.foreign_control) put_control(&header, &used, SOL_SOCKET, 0x7777, Foreign{});
  if (socket.tells_time) {
    timespec time{static_cast<time_t>(realtime_ns / 1'000'000'000),
                  static_cast<long>(realtime_ns % 1'000'000'000)};
    put_control(&header, &used, SOL_SOCKET, SO_TIMESTAMPNS, time);
  }
  if (socket.reports_drops && datagram.dropped != 0)
    put_control(&header, &used, SOL_SOCKET, SO_RXQ_OVFL, datagram.dropped);
  bool v6 = datagram.from.family == 6;
  if (socket.tells_ttl)
    put_control(&header, &used, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_HOPLIMIT : IP_TTL,
                int{datagram.ttl});
  if (datagram.segment_size != 0) put_control(&header, &used, SOL_UDP, UDP_GRO, int{datagram.segment_size});
  header.msg_controllen = used;
}

uint16_t segment_size_of(const msghdr& header) {
  uint16_t out = 0;
  for (const cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr;
       c = CMSG_NXTHDR(const_cast<msghdr*>(&header), const_cast<cmsghdr*>(c))) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) std::memcpy(&out, CMSG_DATA(c), sizeof out);
  }
  return out;
}

}  // namespace

int Kernel::receive(int fd, std::span<Message> messages) {
  calls++;
  Socket* socket = find(fd);
  if (socket == nullptr) {
    world_.fail("receives from a descriptor that is closed");
    return -EBADF;
  }
  if (errs()) {
    bool fatal = world_.decisions.once_in(64);
    int error = world_.decisions.one_of(kReceiveErrors);
    if (fatal) error = world_.decisions.one_of(kFatalErrors);
    socket->said_dead = socket->said_dead || fatal;
    if (error != EINTR || ++interrupted_ < 4) return -error;
  }
  interrupted_ = 0;
  if (socket->pending_error != 0) return -std::exchange(socket->pending_error, 0);
  if (socket->shut) return -EAGAIN;
  size_t count = std::min(messages.size(), socket->queue.size());
  if (count > 1 && errs()) count = world_.decisions.between(1, static_cast<uint32_t>(count));
  for (size_t i = 0; i < count; i++) {
    const Datagram& datagram = socket->queue.front();
    fill(&messages[i], datagram, *socket, world_.realtime_ns());
    if (socket->observer != nullptr) {
      socket->observer->handed_out(datagram);
    } else {
      flows_received++;
    }
    handed_out++;
    socket->queue.pop_front();
  }
  if (count == 0) return -EAGAIN;
  // do_recvmmsg: an error behind the first message is left for the next call.
  if (errs()) socket->pending_error = world_.decisions.one_of(kReceiveErrors);
  return static_cast<int>(count);
}

// 0, or the errno of a message that does not leave.
int Kernel::refusal(const Socket& socket, const Address& to, const msghdr& header, uint32_t bytes,
                    uint16_t segment_size) {
  if (errs()) {
    int error = world_.decisions.one_of(kSendErrors);
    if (error != EINTR || ++interrupted_ < 4) return error;
  }
  interrupted_ = 0;
  Path& path = this->path(to.bytes[3]);
  bool joined = segment_size != 0 && bytes > segment_size;
  if (path.error != 0) return path.error;
  if (bytes > kPayloadBytesMaxV4) return EMSGSIZE;
  if (joined && (bytes + segment_size - 1) / segment_size > gso_segments_max) return EINVAL;
  if (joined && path.joined_error != 0) return path.joined_error;
  if (std::min<uint32_t>(bytes, joined ? segment_size : bytes) > path.mtu) return joined ? EINVAL : EMSGSIZE;
  if (kind_) return 0;
  if (socket.in_flight + bytes + 256 > socket.send_bytes_max) return socket.in_flight > 0 ? EAGAIN : ENOBUFS;
  return 0;
}

int Kernel::send(int fd, std::span<Message> messages) {
  calls++;
  Socket* socket = find(fd);
  if (socket == nullptr) {
    world_.fail("sends through a descriptor that is closed");
    return -EBADF;
  }
  if (int error = std::exchange(socket->pending_error, 0)) return -error;
  int done = 0;
  std::vector<uint8_t> data;
  for (Message& message : messages) {
    if (done > 0 && errs()) break;  // it says less than it could
    const msghdr& header = message.header;
    Address to = socket->peer;
    if (header.msg_name != nullptr) to = from_sockaddr(static_cast<const sockaddr*>(header.msg_name));
    data.clear();
    for (size_t i = 0; i < header.msg_iovlen; i++) {
      auto* from = static_cast<const uint8_t*>(header.msg_iov[i].iov_base);
      data.insert(data.end(), from, from + header.msg_iov[i].iov_len);
    }
    uint32_t bytes = static_cast<uint32_t>(data.size());
    uint16_t segment_size = segment_size_of(header);
    if (int error = refusal(*socket, to, header, bytes, segment_size)) return done > 0 ? done : -error;
    uint32_t each = segment_size != 0 ? segment_size : bytes, at = 0, count = 0;
    do {
      uint32_t length = std::min(each, bytes - at);
      std::span<const uint8_t> payload(data.data() + at, length);
      if (socket->observer != nullptr) {
        socket->observer->taken(to, payload);
      } else if (auto number = number_of(payload)) {
        socket->client = *number & (kNumberStep - 1);
      }
      at += length;
      count++;
    } while (at < bytes);
    taken += count;
    if (!kind_) socket->in_flight += bytes + 256;
    message.length = bytes;
    done++;
  }
  return done;
}

}  // namespace ksocket::simulate
