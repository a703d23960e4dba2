#include "transmitter.h"

#include <arpa/inet.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace loadgen {

static constexpr size_t kPayloadBytesMax = 65507;
static constexpr size_t kSegmentsMax = 128;  // UDP_MAX_SEGMENTS since Linux 6.9
static constexpr size_t kSegmentsBefore = 64;
static constexpr size_t kControlBytes = CMSG_SPACE(sizeof(in_pktinfo));

// How many datagrams this kernel joins: asked with some from a socket to itself.
static size_t segments_of_kernel() {
  const Fd fd = udp_socket();
  const sockaddr_in self = address_of(own_host(), bind_to(fd, own_host(), 0));
  set_option(fd, IPPROTO_UDP, UDP_SEGMENT, 1, "UDP_SEGMENT");
  const char payload[kSegmentsMax] = {};
  const ssize_t sent =
      sendto(fd.get(), payload, sizeof payload, 0, reinterpret_cast<const sockaddr*>(&self), sizeof self);
  return sent < 0 ? kSegmentsBefore : kSegmentsMax;
}

static size_t segments_that_fit(size_t segments, size_t size) {
  if (size == 0 || segments <= 1) return 1;
  segments = std::max<size_t>(1, std::min(segments, kPayloadBytesMax / size));
  return segments <= kSegmentsBefore ? segments : std::min(segments, segments_of_kernel());
}

// 127.1.0.1, 127.1.0.2 … 127.1.0.254, 127.1.1.1 …: all of 127/8 is local, no address needs to be set up.
static in_addr source_address(size_t index) {
  return {htonl(0x7f010000u + static_cast<uint32_t>(index / 254 * 256 + index % 254 + 1))};
}

Transmitter::Transmitter(const TransmitOptions& options)
    : size_(options.size),
      segments_(segments_that_fit(options.segments, options.size)),
      batch_(std::clamp<size_t>(options.batch, 1, 1024)),  // UIO_MAXIOV
      fd_(udp_socket()),
      payload_(std::max<size_t>(1, size_ * segments_), 'k'),
      data_{payload_.data(), size_ * segments_} {
  if (options.ports.empty()) throw std::invalid_argument("no destination port");
  if (options.connected && options.ports.size() > 1) throw std::invalid_argument("--connect has one port");
  const bool many_sources = options.sources > 1;
  // A socket for every source would be ten thousand sockets; IP_PKTINFO names the source per message,
  // which the kernel allows as long as the socket is not bound to one address.
  if (!many_sources) bind_to(fd_, own_host(), 0);
  if (segments_ > 1) set_option(fd_, IPPROTO_UDP, UDP_SEGMENT, static_cast<int>(size_), "UDP_SEGMENT");
  for (uint16_t port : options.ports) destinations_.push_back(address_of(options.host, port));
  if (options.connected) connect_to(fd_, destinations_[0]);

  const size_t cycle = std::max(options.sources, destinations_.size());
  const size_t count = (std::max(batch_, cycle) + cycle - 1) / cycle * cycle;
  messages_.resize(count);
  if (many_sources) controls_.resize(count * kControlBytes);
  for (size_t i = 0; i < count; i++) {
    msghdr& header = messages_[i].msg_hdr;
    header = {};
    header.msg_iov = &data_;
    header.msg_iovlen = 1;
    if (!options.connected) {
      header.msg_name = &destinations_[i % destinations_.size()];
      header.msg_namelen = sizeof(sockaddr_in);
    }
    if (!many_sources) continue;
    header.msg_control = &controls_[i * kControlBytes];
    header.msg_controllen = kControlBytes;
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info = {};
    info.ipi_spec_dst = source_address(i % options.sources);
    std::memcpy(CMSG_DATA(control), &info, sizeof info);
  }
}

void Transmitter::send_batch(Tally& tally) {
  const size_t wanted = std::min(batch_, messages_.size() - next_);
  const int sent = sendmmsg(fd_.get(), &messages_[next_], static_cast<unsigned>(wanted), 0);
  if (sent < 0) {
    // ECONNREFUSED is news about an earlier datagram of a connected socket, and cleared by being told.
    if (errno != ECONNREFUSED && errno != EAGAIN && errno != ENOBUFS && errno != EINTR) fail("sendmmsg");
    tally.refused.add(1);
    return;
  }
  const uint64_t datagrams = static_cast<uint64_t>(sent) * segments_;
  tally.count.add(datagrams);
  tally.bytes.add(datagrams * size_);
  tally.calls.add(1);
  next_ = (next_ + static_cast<size_t>(sent)) % messages_.size();
}

}  // namespace loadgen
