#include "core/socket/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/or_errno.h"
#include "core/base/udp_limits.h"
#include "core/socket/interface.h"

namespace ksocket {

namespace {

// <linux/if_tun.h> has them since Linux 6.2.
constexpr unsigned kJoinsUdpV4 = 0x20, kJoinsUdpV6 = 0x40;
constexpr int kVnetHeaderBytes = 10;

TapFailure attach(int fd, const TapOptions& options, std::string* name) {
  ifreq request{};
  // An empty name is chosen by the kernel; it has to know of what kind (dev_alloc_name).
  std::strncpy(request.ifr_name, options.name.empty() ? "tap%d" : options.name.c_str(), IFNAMSIZ - 1);
  int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (options.multi_queue ? IFF_MULTI_QUEUE : 0);
  request.ifr_flags = static_cast<short>(flags);
  if (int error = or_errno(ioctl(fd, TUNSETIFF, &request)); error < 0) return {error, "TUNSETIFF"};
  *name = request.ifr_name;
  return {};
}

TapFailure ask_for_offloads(int fd, bool* joins_udp) {
  int bytes = kVnetHeaderBytes;
  if (int error = or_errno(ioctl(fd, TUNSETVNETHDRSZ, &bytes)); error < 0) return {error, "TUNSETVNETHDRSZ"};
  unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  *joins_udp = ioctl(fd, TUNSETOFFLOAD, tcp | kJoinsUdpV4 | kJoinsUdpV6) == 0;
  if (*joins_udp) return {};
  if (int error = or_errno(ioctl(fd, TUNSETOFFLOAD, tcp)); error < 0) return {error, "TUNSETOFFLOAD"};
  return {};
}

// The interface of its name, if that is still the device, and its MTU.
TapFailure find(Interface* interface, Tap* tap) {
  if (int error = interface->open(tap->name); error != 0) return {error, "socket"};
  int index = 0;
  if (int error = interface->get_index(&index); error != 0) return {error, "SIOCGIFINDEX"};
  if (tap->index != 0 && index != tap->index) return {-ENODEV, "SIOCGIFINDEX"};
  tap->index = index;
  if (int error = interface->get_mtu(&tap->mtu); error != 0) return {error, "SIOCGIFMTU"};
  return {};
}

}  // namespace

TapFailure refresh_tap(Tap* tap) {
  ifreq request{};
  if (ioctl(tap->fd.get(), TUNGETIFF, &request) == 0) tap->name = request.ifr_name;
  Interface interface;
  return find(&interface, tap);
}

TapFailure set_up_tap(const TapOptions& options, Tap* tap) {
  Interface interface;
  if (TapFailure failure = find(&interface, tap)) return failure;
  if (options.mtu != 0) {
    if (int error = interface.set_mtu(options.mtu); error != 0) return {error, "SIOCSIFMTU"};
    if (int error = interface.get_mtu(&tap->mtu); error != 0) return {error, "SIOCGIFMTU"};
  }
  // An optimisation only.
  if (options.overhead_bytes != 0) {
    uint32_t fit = kJoinedBytesMax / (tap->mtu + options.overhead_bytes);
    interface.set_joined_max(std::clamp(fit, 1u, kGsoSegmentsMin));
  }
  if (options.queue_frames != 0) {
    if (int error = interface.set_queue_length(options.queue_frames); error != 0)
      return {error, "RTM_NEWLINK"};
  }
  for (const TapOptions::Network& network : options.networks) {
    int error = interface.add_address(network.address, network.prefix_bits);
    if (error != 0 && error != -EEXIST && options.networks_needed) return {error, "RTM_NEWADDR"};
  }
  if (options.up) {
    interface.announce();
    if (int error = interface.bring_up(); error != 0) return {error, "SIOCSIFFLAGS"};
  }
  return {};
}

TapFailure open_tap(const TapOptions& options, Tap* out) {
  if (options.name.size() >= IFNAMSIZ) return {-EINVAL, "TUNSETIFF"};
  Tap tap;
  tap.fd = Fd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tap.fd) return {-errno, "open"};
  if (TapFailure failure = attach(tap.fd.get(), options, &tap.name)) return failure;
  if (TapFailure failure = ask_for_offloads(tap.fd.get(), &tap.joins_udp)) return failure;
  if (TapFailure failure = set_up_tap(options, &tap)) return failure;
  // Last: one that could not be set up is not to stay.
  if (options.persistent) {
    if (int error = or_errno(ioctl(tap.fd.get(), TUNSETPERSIST, 1)); error < 0)
      return {error, "TUNSETPERSIST"};
  }
  *out = std::move(tap);
  return {};
}

}  // namespace ksocket
