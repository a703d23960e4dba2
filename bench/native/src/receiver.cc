#include "receiver.h"

#include <netinet/udp.h>

#include <cstring>

namespace loadgen {

ReceiveBatch::ReceiveBatch(size_t messages, size_t buffer_bytes)
    : buffer_bytes_(buffer_bytes),
      used_(messages),
      payload_(messages * buffer_bytes),
      peers_(messages),
      controls_(messages * kControlBytes),
      data_(messages),
      headers_(messages) {}

void ReceiveBatch::reset(size_t i) {
  data_[i] = {&payload_[i * buffer_bytes_], buffer_bytes_};
  msghdr& header = headers_[i].msg_hdr;
  header.msg_name = &peers_[i];
  header.msg_namelen = sizeof(sockaddr_in);
  header.msg_iov = &data_[i];
  header.msg_iovlen = 1;
  header.msg_control = &controls_[i * kControlBytes];
  header.msg_controllen = kControlBytes;
  header.msg_flags = 0;
}

int ReceiveBatch::receive(int fd, int flags) {
  // Only what the last call used up has changed.
  for (size_t i = 0; i < used_; i++) reset(i);
  const int got =
      recvmmsg(fd, headers_.data(), static_cast<unsigned>(headers_.size()), flags | MSG_WAITFORONE, nullptr);
  used_ = got > 0 ? static_cast<size_t>(got) : 0;
  return got;
}

size_t ReceiveBatch::segment_bytes(size_t i) const {
  msghdr* header = const_cast<msghdr*>(&headers_[i].msg_hdr);
  for (cmsghdr* control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO) continue;
    int bytes;
    std::memcpy(&bytes, CMSG_DATA(control), sizeof bytes);
    return static_cast<size_t>(bytes);
  }
  return 0;
}

uint64_t ReceiveBatch::datagrams(size_t i) const {
  const size_t segment = segment_bytes(i);
  if (segment == 0 || length(i) == 0) return 1;
  return (length(i) + segment - 1) / segment;
}

mmsghdr* ReceiveBatch::as_replies(size_t count, bool with_segments) {
  for (size_t i = 0; i < count; i++) {
    const size_t segment = with_segments ? segment_bytes(i) : 0;
    data_[i].iov_len = length(i);
    msghdr& header = headers_[i].msg_hdr;
    header.msg_control = nullptr;
    header.msg_controllen = 0;
    if (segment == 0 || segment >= length(i)) continue;
    header.msg_control = &controls_[i * kControlBytes];
    header.msg_controllen = CMSG_SPACE(sizeof(uint16_t));
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const uint16_t bytes = static_cast<uint16_t>(segment);
    std::memcpy(CMSG_DATA(control), &bytes, sizeof bytes);
  }
  return headers_.data();
}

}  // namespace loadgen
