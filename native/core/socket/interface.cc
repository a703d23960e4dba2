#include "core/socket/interface.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/or_errno.h"

namespace ksocket {

namespace {

ifreq request_of(const std::string& name) {
  ifreq out{};
  std::strncpy(out.ifr_name, name.c_str(), IFNAMSIZ - 1);
  return out;
}

// A request of rtnetlink's, with room for an address twice: IPv4 has a local one and one of the prefix.
template <typename Message>
struct Request {
  nlmsghdr header{};
  Message message{};
  uint8_t attributes[2 * RTA_SPACE(16)] = {};

  Request(uint16_t type, uint16_t flags) {
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header.nlmsg_len = NLMSG_LENGTH(sizeof message);
  }
  void append(uint16_t type, const void* data, size_t bytes) {
    auto* at = reinterpret_cast<rtattr*>(reinterpret_cast<uint8_t*>(this) + header.nlmsg_len);
    at->rta_type = type;
    at->rta_len = static_cast<uint16_t>(RTA_LENGTH(bytes));
    std::memcpy(RTA_DATA(at), data, bytes);
    header.nlmsg_len += static_cast<uint32_t>(RTA_SPACE(bytes));
  }
};

// The kernel's answer to the only thing it was asked.
int answer_of(int fd) {
  struct {
    nlmsghdr header;
    nlmsgerr error;
    uint8_t rest[512];  // it repeats what it was asked
  } answer;
  ssize_t received;
  do {
    received = recv(fd, &answer, sizeof answer, 0);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return -errno;
  if (static_cast<size_t>(received) < sizeof(nlmsghdr) + sizeof(int)) return -EPROTO;
  return answer.header.nlmsg_type == NLMSG_ERROR ? answer.error.error : -EPROTO;
}

template <typename Message>
int ask(const Request<Message>& request) {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return -errno;
  if (send(fd.get(), &request, request.header.nlmsg_len, 0) < 0) return -errno;
  return answer_of(fd.get());
}

}  // namespace

int Interface::open(const std::string& name) {
  if (name.size() >= IFNAMSIZ) return -ENODEV;
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  fd_ = std::move(fd);
  name_ = name;
  return 0;
}

int Interface::get_mtu(uint32_t* out) const {
  ifreq request = request_of(name_);
  if (int error = or_errno(ioctl(fd_.get(), SIOCGIFMTU, &request)); error < 0) return error;
  *out = static_cast<uint32_t>(request.ifr_mtu);
  return 0;
}

int Interface::set_mtu(uint32_t mtu) const {
  ifreq request = request_of(name_);
  request.ifr_mtu = static_cast<int>(mtu);
  return or_errno(ioctl(fd_.get(), SIOCSIFMTU, &request));
}

// Not by SIOCSIFTXQLEN, which only the first namespace's root may use.
int Interface::set_queue_length(uint32_t packets) const {
  return set_number(IFLA_TXQLEN, packets);
}

int Interface::set_joined_max(uint32_t frames) const {
  return set_number(IFLA_GSO_MAX_SEGS, frames);
}

int Interface::set_number(uint16_t attribute, uint32_t value) const {
  Request<ifinfomsg> request(RTM_NEWLINK, 0);
  if (int error = get_index(&request.message.ifi_index); error != 0) return error;
  request.append(attribute, &value, sizeof value);
  return ask(request);
}

void Interface::announce() const {
  for (const char* each : {"ipv4/conf/", "ipv6/conf/"}) {
    std::string file = std::string("/proc/sys/net/") + each + name_;
    file += each[3] == '4' ? "/arp_notify" : "/ndisc_notify";
    Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (fd) [[maybe_unused]]
      ssize_t written = write(fd.get(), "1", 1);
  }
}

int Interface::bring_up() const {
  ifreq request = request_of(name_);
  if (int error = or_errno(ioctl(fd_.get(), SIOCGIFFLAGS, &request)); error < 0) return error;
  if ((request.ifr_flags & IFF_UP) != 0) return 0;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  return or_errno(ioctl(fd_.get(), SIOCSIFFLAGS, &request));
}

int Interface::get_index(int* out) const {
  ifreq request = request_of(name_);
  if (int error = or_errno(ioctl(fd_.get(), SIOCGIFINDEX, &request)); error < 0) return error;
  *out = request.ifr_ifindex;
  return 0;
}

int Interface::add_address(const Address& address, uint8_t prefix_bits) const {
  bool v6 = address.family == 6;
  Request<ifaddrmsg> request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  int index = 0;
  if (int error = get_index(&index); error != 0) return error;
  request.message.ifa_family = static_cast<uint8_t>(v6 ? AF_INET6 : AF_INET);
  request.message.ifa_prefixlen = prefix_bits;
  // Nobody else has it but who was given it: it can be used at once (RFC 4862's detection takes a second).
  request.message.ifa_flags = v6 ? IFA_F_NODAD : 0;
  request.message.ifa_index = static_cast<uint32_t>(index);
  request.append(IFA_LOCAL, address.bytes, v6 ? 16 : 4);
  request.append(IFA_ADDRESS, address.bytes, v6 ? 16 : 4);
  return ask(request);
}

}  // namespace ksocket
