#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <vector>

namespace loadgen {

// The slots of one recvmmsg: buffers, addresses and room for the UDP_GRO control message.
class ReceiveBatch {
 public:
  ReceiveBatch(size_t messages, size_t buffer_bytes);

  // → messages received, or -1 with errno. Waits for the first one only, or for none (MSG_DONTWAIT).
  int receive(int fd, int flags);

  size_t length(size_t i) const { return headers_[i].msg_len; }
  // The size the kernel joined segments at; 0 when this is one datagram.
  size_t segment_bytes(size_t i) const;
  // Datagrams in message i: a joined one is full segments and a shorter or equal last one.
  uint64_t datagrams(size_t i) const;

  // For an echo: the same slots, pointed at what was received, for a sendmmsg of `count` messages.
  // `with_segments` asks for the segment size to go back out as UDP_SEGMENT.
  mmsghdr* as_replies(size_t count, bool with_segments);

 private:
  static constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int));

  void reset(size_t i);

  size_t buffer_bytes_;
  size_t used_;
  std::vector<char> payload_;
  std::vector<sockaddr_in> peers_;
  std::vector<char> controls_;
  std::vector<iovec> data_;
  std::vector<mmsghdr> headers_;
};

}  // namespace loadgen
