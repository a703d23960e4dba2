#include "core/socket/send_times.h"

#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/control/control.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

// Whatever it says but EINVAL, it has understood the message: udp_sendmsg reads it first, and then finds that
// the socket may not broadcast (EACCES), or has no way. Nothing is sent.
bool probe() {
  Fd fd;
  if (open_datagram(4, &fd) != 0) return false;
  int ids = SOF_TIMESTAMPING_OPT_ID;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_TIMESTAMPING, &ids, sizeof ids) != 0) return false;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(INADDR_BROADCAST);
  alignas(cmsghdr) uint8_t control[kTxControlBytes];
  msghdr header{};
  header.msg_name = &to;
  header.msg_namelen = sizeof to;
  header.msg_control = control;
  append_send_id(&header, 0);
  return sendmsg(fd.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EINVAL;
}

}  // namespace

bool takes_send_ids() {
  static const bool takes = probe();
  return takes;
}

}  // namespace ksocket
