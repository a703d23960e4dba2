#include "engine/choose.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "core/base/errno_policy.h"
#include "core/base/fd.h"
#include "engine/mmsg.h"
#include "engine/posix.h"

namespace ksocket {

namespace {

template <typename Made>
ChosenEngine make() {
  auto engine = std::make_unique<Made>();
  if (int error = engine->init()) return {nullptr, error};
  return {std::move(engine), 0};
}

// `receive(fd)` and `send(fd)` return less than 0 and set errno. An unbound socket has nothing to receive,
// and a message without a destination cannot be sent: a kernel that has the calls says EAGAIN and
// EDESTADDRREQ.
template <typename Receive, typename Send>
int probe_calls(Receive&& receive, Send&& send) {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) fd = Fd(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  if (receive(fd.get()) < 0 && means_unsupported(errno)) return -errno;
  if (send(fd.get()) < 0 && means_unsupported(errno)) return -errno;
  return 0;
}

// An engine: a row here, the best one first.
constexpr struct {
  const char* name;
  const char* needs;
  int (*probe)();          // of the calls that init() does not make: 0 or -errno
  ChosenEngine (*make)();  // with its init()
} kEngines[] = {
    {"mmsg", "recvmmsg, sendmmsg, epoll, eventfd", probe_mmsg, make<MmsgEngine>},
    {"posix", "recvmsg, sendmsg, poll, pipe2", probe_msg, make<PosixEngine>},
};

}  // namespace

std::vector<const char*> engine_names() {
  std::vector<const char*> out;
  for (const auto& row : kEngines) out.push_back(row.name);
  return out;
}

std::vector<const char*> engine_needs() {
  std::vector<const char*> out;
  for (const auto& row : kEngines) out.push_back(row.needs);
  return out;
}

ChosenEngine choose_engine(std::string_view wanted) {
  ChosenEngine out{nullptr, -EINVAL};
  for (const auto& row : kEngines) {
    if (wanted != "" && wanted != row.name) continue;
    int error = row.probe();
    out = error == 0 ? row.make() : ChosenEngine{nullptr, error};
    // What is no refusal (EMFILE, say) is not for the next engine to mend.
    if (out.engine || !means_unsupported(-out.error)) break;
  }
  return out;
}

const char* engine_name_for(std::string_view wanted) {
  auto row = std::find_if(std::begin(kEngines), std::end(kEngines),
                          [&](const auto& each) { return wanted == each.name; });
  if (row != std::end(kEngines)) return row->name;
  ChosenEngine best = choose_engine("");
  return best.engine ? best.engine->name() : std::rbegin(kEngines)->name;
}

int probe_mmsg() {
  mmsghdr message{};
  return probe_calls([&](int fd) { return recvmmsg(fd, &message, 1, MSG_DONTWAIT, nullptr); },
                     [&](int fd) { return sendmmsg(fd, &message, 1, MSG_DONTWAIT); });
}

int probe_msg() {
  msghdr message{};
  return probe_calls([&](int fd) { return recvmsg(fd, &message, MSG_DONTWAIT); },
                     [&](int fd) { return sendmsg(fd, &message, MSG_DONTWAIT); });
}

int probe_epoll() {
  return MmsgEngine().init();
}

}  // namespace ksocket
