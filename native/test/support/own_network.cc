#include "support/own_network.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "core/base/fd.h"

namespace ksocket::test {

namespace {

bool bring_loopback_up() {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  return ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

}  // namespace

std::string in_own_network(const std::function<void()>& body) {
  std::string out;
  std::thread thread([&] {
    if (unshare(CLONE_NEWNET) != 0)
      out = std::string("needs a network namespace of its own: ") + std::strerror(errno);
    else if (!bring_loopback_up())
      out = std::string("lo cannot be brought up: ") + std::strerror(errno);
    else
      body();
  });
  thread.join();
  return out;
}

}  // namespace ksocket::test
