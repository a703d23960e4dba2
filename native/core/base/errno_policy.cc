#include "core/base/errno_policy.h"

#include <cerrno>

namespace ksocket {

namespace {

struct Row {
  int error;
  Action action;
};

constexpr Row kReceive[] = {
    {EINTR, Action::retry},
    {EAGAIN, Action::wait},
    // udp_recvmsg copies to user memory; these say that the kernel is short of it for now.
    {ENOMEM, Action::wait},
    {ENOBUFS, Action::wait},
    {EBADF, Action::stop},
    {ENOTSOCK, Action::stop},
    {EFAULT, Action::stop},
};

constexpr Row kSend[] = {
    {EINTR, Action::retry},  {EAGAIN, Action::wait},  // sock_alloc_send_skb: the send buffer is full
    {ENOBUFS, Action::wait},                          // the device queue is full, and IP_RECVERR is on
    {EBADF, Action::stop},   {ENOTSOCK, Action::stop},
};

template <typename Rows>
Action find(const Rows& rows, int error) {
  for (const Row& row : rows) {
    if (row.error == error) return row.action;
  }
  return Action::report;
}

}  // namespace

Action on_receive_error(int error) {
  return find(kReceive, error);
}

Action on_send_error(int error) {
  return find(kSend, error);
}

bool answers_earlier_datagram(int error) {
  // Of icmp_err_convert and arp_error_report what a super-datagram is not refused for anyway. sock_error()
  // hands it to the next call, whichever that is, and forgets it.
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN ||
         error == ENONET || error == EPROTO;
}

bool is_queued_error(int error) {
  // icmp_err_convert, icmpv6_err_convert, and what ipv4_sk_update_pmtu goes with.
  switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EMSGSIZE:
    case EACCES:
    case EPROTO:
      return true;
    default:
      return false;
  }
}

bool means_unsupported(int error) {
  // seccomp sandboxes answer EPERM or EACCES where an old kernel answers ENOSYS.
  return error == ENOSYS || error == EPERM || error == EACCES || error == EOPNOTSUPP;
}

bool means_exhausted(int error) {
  // socket(2): descriptors of the process, of the machine, memory. epoll_ctl(2): ENOSPC, max_user_watches.
  // connect(2): EAGAIN, inet_autobind found no free port.
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == ENOSPC ||
         error == EAGAIN;
}

}  // namespace ksocket
