#include "core/xdp/restriction.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

namespace ksocket::xdp {

namespace {

constexpr int kIpMinTtl = 21, kIpv6MinHopCount = 73;  // linux/in.h, linux/in6.h

bool is_set(int socket, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(socket, level, name, &value, &size) == 0 && value != 0;
}

bool has_device(int socket) {
  char name[IFNAMSIZ] = {};
  socklen_t size = sizeof name;
  return getsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, name, &size) == 0 && size > 0 && name[0] != '\0';
}

// Of a filter that is eBPF the kernel says nothing but EACCES.
bool has_filter(int socket) {
  socklen_t instructions = 0;
  int error = getsockopt(socket, SOL_SOCKET, SO_GET_FILTER, nullptr, &instructions);
  return error != 0 ? errno == EACCES : instructions > 0;
}

}  // namespace

const char* restriction_of(int socket, OwnRestrictions own) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) == 0 || errno != ENOTCONN)
    return "that is connected";
  if (has_device(socket)) return "that is bound to an interface";
  if (has_filter(socket) && !(own.filter && !is_set(socket, SOL_SOCKET, SO_LOCK_FILTER)))
    return "that has a filter";
  if (!own.port && is_set(socket, SOL_SOCKET, SO_REUSEPORT)) return "whose port others may have, too";
  if (is_set(socket, IPPROTO_IP, kIpMinTtl) || is_set(socket, IPPROTO_IPV6, kIpv6MinHopCount))
    return "that takes no datagrams from afar";
  return "";
}

}  // namespace ksocket::xdp
