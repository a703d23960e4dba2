#include "engine/features.h"

#include <linux/filter.h>
#include <netinet/in.h>

#include "core/base/kernel_names.h"
#include "core/socket/filter.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"
#include "engine/choose.h"
#include "engine/gso_limit.h"

namespace ksocket {

Features probe_features() {
  Features out{};
  out.mmsg = probe_mmsg() == 0;
  out.epoll = probe_epoll() == 0;
  Fd v6;
  out.ipv6 = open_datagram(6, &v6) == 0;
  Fd v4;
  Fd& any = open_datagram(4, &v4) == 0 ? v4 : v6;
  uint8_t family = v4 ? 4 : 6;
  if (!any) return out;
  out.gro = set_option(any.get(), family, SocketOption::gro, 1) == 0;
  out.kernel_drops = set_option(any.get(), family, SocketOption::report_kernel_drops, 1) == 0;
  out.busy_poll = set_option(any.get(), family, SocketOption::busy_poll, 1) == 0;
  int none = 0;
  out.gso = setsockopt(any.get(), IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
  const sock_filter keep_all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
  out.filter = attach_filter(any.get(), {&keep_all, 1}) == 0;
  if (out.gso) out.gso_segments = gso_segments_max();
  return out;
}

}  // namespace ksocket
