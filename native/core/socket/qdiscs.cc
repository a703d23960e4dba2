#include "core/socket/qdiscs.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "core/base/fd.h"
#include "core/base/or_errno.h"

namespace ksocket {

namespace {

// NLMSG_GOODSIZE of the kernel, at most: one reply of a dump fits.
constexpr size_t kReplyBytes = 32 * 1024;
// The answer to a dump lies in the socket's buffer when sendto(2) returns, or comes with the next recv(2).
constexpr timeval kPatience{1, 0};

bool is_of_kind(const nlmsghdr* message, std::string_view kind) {
  int left = static_cast<int>(NLMSG_PAYLOAD(message, sizeof(tcmsg)));
  auto* attribute = reinterpret_cast<const rtattr*>(static_cast<const uint8_t*>(NLMSG_DATA(message)) +
                                                    NLMSG_ALIGN(sizeof(tcmsg)));
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != TCA_KIND) continue;
    auto* text = static_cast<const char*>(RTA_DATA(attribute));
    return kind == std::string_view(text, strnlen(text, RTA_PAYLOAD(attribute)));
  }
  return false;
}

struct Read {
  bool found = false, done = false;
  int error = 0;
};

void read_reply(std::span<const uint8_t> bytes, std::string_view kind, Read* out) {
  auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
  for (int left = static_cast<int>(bytes.size()); NLMSG_OK(message, left);
       message = NLMSG_NEXT(message, left)) {
    if (message->nlmsg_type == NLMSG_DONE) out->done = true;
    if (message->nlmsg_type == NLMSG_ERROR && NLMSG_PAYLOAD(message, 0) >= sizeof(int)) {
      out->done = true;
      out->error = static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
    }
    if (message->nlmsg_type == RTM_NEWQDISC) out->found |= is_of_kind(message, kind);
  }
}

}  // namespace

int has_qdisc(std::string_view kind) {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return -errno;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) < 0) return -errno;
  struct {
    nlmsghdr header;
    tcmsg body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETQDISC;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.tcm_family = AF_UNSPEC;
  if (send(fd.get(), &request, sizeof request, 0) < 0) return -errno;
  alignas(nlmsghdr) uint8_t reply[kReplyBytes];
  Read read;
  while (!read.done) {
    auto got = recv(fd.get(), reply, sizeof reply, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -errno;
    read_reply({reply, static_cast<size_t>(got)}, kind, &read);
  }
  return read.error != 0 ? read.error : read.found;
}

}  // namespace ksocket
