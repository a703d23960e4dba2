#include "core/control/control.h"

#include <netinet/in.h>

#include <cstring>

#include "core/base/kernel_names.h"

namespace ksocket {

RxControl decode_control(const msghdr& header) {
  RxControl out;
  msghdr* mutable_header = const_cast<msghdr*>(&header);  // CMSG_NXTHDR takes no const
  const uint8_t* end = static_cast<const uint8_t*>(header.msg_control) + header.msg_controllen;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(mutable_header, c)) {
    // The macros look whether the header fits into the buffer, not whether its data does.
    if (c->cmsg_len > static_cast<size_t>(end - reinterpret_cast<const uint8_t*>(c))) break;
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && c->cmsg_len >= CMSG_LEN(sizeof(uint16_t))) {
      // udp_cmsg_recv puts an int here.
      int size = 0;
      std::memcpy(&size, CMSG_DATA(c), c->cmsg_len >= CMSG_LEN(sizeof size) ? sizeof size : sizeof(uint16_t));
      out.segment_size = static_cast<uint16_t>(size);
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL &&
               c->cmsg_len >= CMSG_LEN(sizeof(uint32_t))) {
      out.has_kernel_drops = true;
      std::memcpy(&out.kernel_drops, CMSG_DATA(c), sizeof out.kernel_drops);
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS &&
               c->cmsg_len >= CMSG_LEN(sizeof(timespec))) {
      timespec time;
      std::memcpy(&time, CMSG_DATA(c), sizeof time);
      out.received_ns =
          static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
    }
  }
  return out;
}

void encode_segment_size(msghdr* header, uint16_t segment_size) {
  header->msg_controllen = kTxControlBytes;
  cmsghdr* c = CMSG_FIRSTHDR(header);
  c->cmsg_level = SOL_UDP;
  c->cmsg_type = UDP_SEGMENT;
  c->cmsg_len = CMSG_LEN(sizeof segment_size);
  std::memcpy(CMSG_DATA(c), &segment_size, sizeof segment_size);
}

}  // namespace ksocket
