// What stands for a TAP device where nobody has one: a pair of sockets, which keeps a read's and a write's
// bounds, too.
#pragma once

#include <sys/socket.h>

#include <cstring>
#include <stdexcept>
#include <vector>

#include "core/base/fd.h"
#include "core/tunnel/vnet_header.h"
#include "support/frames.h"

namespace ksocket::test {

struct TapPair {
  TapPair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) != 0)
      throw std::runtime_error("socketpair");
    machine = Fd(fds[0]), device = Fd(fds[1]);
    int bytes = 4 << 20;
    for (int fd : fds) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  // As the kernel hands it over. False where there is no room.
  bool send(const Frame& frame, VnetHeader header = {}) const {
    Frame all(sizeof header);
    std::memcpy(all.data(), &header, sizeof header);
    all.insert(all.end(), frame.begin(), frame.end());
    return ::send(machine.get(), all.data(), all.size(), MSG_DONTWAIT) == static_cast<ssize_t>(all.size());
  }
  // What the device was given, without its header.
  std::vector<Frame> take() const {
    std::vector<Frame> out;
    Frame buffer(70000);
    for (ssize_t bytes; (bytes = recv(machine.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;)
      out.emplace_back(buffer.begin() + sizeof(VnetHeader), buffer.begin() + bytes);
    return out;
  }

  Fd machine;  // the end of the kernel's
  Fd device;   // the tunnel's
};

}  // namespace ksocket::test
