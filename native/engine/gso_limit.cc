#include "engine/gso_limit.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

#include "core/base/fd.h"
#include "core/base/kernel_names.h"
#include "core/base/udp_limits.h"

namespace ksocket {

namespace {

// A socket of the loopback address, connected to itself, that takes nothing from anybody else.
Fd connected_to_itself() {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof name;
  auto* any = reinterpret_cast<sockaddr*>(&name);
  bool made = fd && bind(fd.get(), any, length) == 0 && getsockname(fd.get(), any, &length) == 0 &&
              connect(fd.get(), any, length) == 0;
  return made ? std::move(fd) : Fd();
}

// udp_send_skb: EINVAL where the payload is more than UDP_MAX_SEGMENTS segments.
uint32_t ask() {
  Fd fd = connected_to_itself();
  int segment_size = 1;
  char payload[kGsoSegmentsMax] = {};
  bool takes = fd && setsockopt(fd.get(), SOL_UDP, UDP_SEGMENT, &segment_size, sizeof segment_size) == 0 &&
               send(fd.get(), payload, sizeof payload, 0) == sizeof payload;
  return takes ? kGsoSegmentsMax : kGsoSegmentsMin;
}

}  // namespace

uint32_t gso_segments_max() {
  static const uint32_t max = ask();
  return max;
}

}  // namespace ksocket
