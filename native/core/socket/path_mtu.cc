#include "core/socket/path_mtu.h"

#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>

#include "core/base/kernel_names.h"
#include "core/base/or_errno.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

// What routes are chosen by, besides the addresses.
constexpr SocketOption kOfTheRoute[] = {SocketOption::mark, SocketOption::transparent,
                                        SocketOption::freebind};
struct Place {
  int level, name;
};
constexpr Place kOfTheRouteV4[] = {{IPPROTO_IP, IP_TOS}, {IPPROTO_IP, IP_UNICAST_IF}};
constexpr Place kOfTheRouteV6[] = {{IPPROTO_IPV6, IPV6_TCLASS}, {IPPROTO_IPV6, IPV6_UNICAST_IF}};

int copy_device(int from, int to) {
  char name[IFNAMSIZ];
  socklen_t length = sizeof name;
  if (getsockopt(from, SOL_SOCKET, SO_BINDTODEVICE, name, &length) < 0) return -errno;
  return length == 0 ? 0 : or_errno(setsockopt(to, SOL_SOCKET, SO_BINDTODEVICE, name, length));
}

int copy_option(int from, int to, uint8_t family, SocketOption option) {
  int value = 0;
  if (int error = get_option(from, family, option, &value)) return error;
  return value == 0 ? 0 : set_option(to, family, option, value);
}

// A kernel that lacks one of them chooses routes without it.
void copy_place(int from, int to, Place place) {
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(from, place.level, place.name, &value, &length) == 0 && value > 0) {
    setsockopt(to, place.level, place.name, &value, length);
  }
}

int copy_source(int from, int to) {
  Address source;
  if (int error = socket_name(from, false, &source)) return error;
  source.port = 0;
  return bind_socket(to, source);
}

// With all that says which way its datagrams take.
int make_alike(int fd, uint8_t family, bool to_many, Fd* out) {
  if (int error = open_datagram(family, out)) return error;
  if (int error = copy_device(fd, out->get())) return error;
  for (SocketOption option : kOfTheRoute) {
    if (int error = copy_option(fd, out->get(), family, option)) return error;
  }
  for (Place place : kOfTheRouteV4) copy_place(fd, out->get(), place);
  if (family == 6) {
    for (Place place : kOfTheRouteV6) copy_place(fd, out->get(), place);
    if (int error = copy_option(fd, out->get(), family, SocketOption::ipv6_only)) return error;
  }
  set_option(out->get(), family, SocketOption::broadcast, to_many);
  return copy_source(fd, out->get());
}

}  // namespace

int path_mtu(int fd, uint8_t family, const Address& to, bool to_many) {
  Fd alike;
  if (int error = make_alike(fd, family, to_many, &alike)) return error;
  if (int error = connect_socket(alike.get(), to)) return error;
  int mtu = 0;
  socklen_t length = sizeof mtu;
  int level = family == 6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP};
  // Of an IPv4 address on a dual-stack socket, too: it is that of the route that the socket has.
  int error = or_errno(getsockopt(alike.get(), level, family == 6 ? IPV6_MTU : IP_MTU, &mtu, &length));
  return error != 0 ? error : mtu;
}

}  // namespace ksocket
