#include "support/loopback.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>

#include "core/base/udp_limits.h"
#include "support/fake_engine.h"
#include "support/waiting.h"

namespace ksocket::test {

std::string loopback_address() {
  auto pid =
      static_cast<uint32_t>(getpid());  // 22 bits at most, and all of 127.0.0.0/8 is ours to choose from
  auto part = [&](int shift, uint32_t mask) { return std::to_string(pid >> shift & mask); };
  return "127." + std::to_string(64 + (pid >> 16 & 63)) + "." + part(8, 255) + "." + part(0, 255);
}

Fd bound_socket(uint8_t family) {
  Fd fd;
  if (open_datagram(family, &fd) != 0) throw std::runtime_error("socket");
  if (bind_socket(fd.get(), address_of(family == 6 ? "::1" : loopback_address().c_str(), 0)) != 0)
    throw std::runtime_error("bind");
  return fd;
}

Address name_of(int fd) {
  Address name;
  if (socket_name(fd, false, &name) != 0) throw std::runtime_error("getsockname");
  return name;
}

bool has_ipv6() {
  Fd fd;
  return open_datagram(6, &fd) == 0 && bind_socket(fd.get(), address_of("::1", 0)) == 0;
}

bool Peer::send(const Address& to, const std::string& data) {
  SockAddr name = to_sockaddr(to);
  return sendto(fd(), data.data(), data.size(), MSG_NOSIGNAL, &name.any, name.length) ==
         static_cast<ssize_t>(data.size());
}

std::optional<std::string> Peer::receive(Address* from) {
  pollfd poll_this{fd(), POLLIN, 0};
  int milliseconds = static_cast<int>(std::chrono::milliseconds(kDeadline).count());
  if (poll(&poll_this, 1, milliseconds) <= 0) return std::nullopt;
  std::string data(kDatagramBytesMax, '\0');
  SockAddr name;
  name.length = sizeof name.v6;
  ssize_t n = recvfrom(fd(), data.data(), data.size(), MSG_DONTWAIT, &name.any, &name.length);
  if (n < 0) return std::nullopt;
  data.resize(static_cast<size_t>(n));
  if (from != nullptr) *from = from_sockaddr(&name.any);
  return data;
}

bool Peer::quiet() {
  char byte;
  return recv(fd(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

}  // namespace ksocket::test
