#include "engine/choose.h"

#include <cerrno>

#include "core/base/errno_policy.h"
#include "core/socket/socket.h"
#include "engine/mmsg.h"
#include "engine/posix.h"

namespace ksocket {

int probe_mmsg() {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) fd = Fd(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  mmsghdr message{};
  // An unbound socket has nothing to receive, and a message without a destination cannot be sent: a kernel
  // that has the calls says EAGAIN and EDESTADDRREQ.
  if (recvmmsg(fd.get(), &message, 1, MSG_DONTWAIT, nullptr) < 0 && means_unsupported(errno)) return -errno;
  if (sendmmsg(fd.get(), &message, 1, MSG_DONTWAIT) < 0 && means_unsupported(errno)) return -errno;
  return 0;
}

int probe_epoll() {
  return MmsgEngine().init();
}

ChosenEngine choose_engine(std::string_view wanted) {
  if (wanted != "" && wanted != "mmsg" && wanted != "posix") return {nullptr, -EINVAL};
  if (wanted != "posix") {
    auto engine = std::make_unique<MmsgEngine>();
    int error = probe_mmsg();
    if (error == 0) error = engine->init();
    if (error == 0) return {std::move(engine), 0};
    if (wanted == "mmsg" || !means_unsupported(-error)) return {nullptr, error};
  }
  auto engine = std::make_unique<PosixEngine>();
  int error = engine->init();
  if (error != 0) return {nullptr, error};
  return {std::move(engine), 0};
}

}  // namespace ksocket
