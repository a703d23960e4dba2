#include "core/socket/rights.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ksocket {

Rights& Rights::of_process() {
  // Never destroyed: threads may still be at work while the process exits.
  static Rights* rights = new Rights;
  return *rights;
}

int64_t Rights::copy(std::span<const int32_t> fds) {
  Bundle bundle;
  for (int fd : fds) {
    Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return -errno;
    bundle.fds.push_back(std::move(copy));
  }
  size_t bytes = bundle.fds.size() * sizeof(int);
  bundle.message.resize(CMSG_SPACE(bytes));
  auto* message = reinterpret_cast<cmsghdr*>(bundle.message.data());
  message->cmsg_level = SOL_SOCKET;
  message->cmsg_type = SCM_RIGHTS;
  message->cmsg_len = CMSG_LEN(bytes);
  for (size_t i = 0; i < bundle.fds.size(); i++) {
    int fd = bundle.fds[i].get();
    std::memcpy(CMSG_DATA(message) + i * sizeof fd, &fd, sizeof fd);
  }
  return add(std::move(bundle));
}

uint32_t Rights::received(const msghdr& header) {
  Bundle bundle;
  msghdr* mutable_header = const_cast<msghdr*>(&header);  // CMSG_NXTHDR takes no const
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(mutable_header, c)) {
    if (c->cmsg_len < CMSG_LEN(0)) break;
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
      bundle.fds.emplace_back(fd);
    }
  }
  return bundle.fds.empty() ? 0 : add(std::move(bundle));
}

std::span<uint8_t> Rights::message(uint32_t number) {
  std::lock_guard lock(mutex_);
  auto at = bundles_.find(number);
  return at == bundles_.end() ? std::span<uint8_t>() : std::span(at->second.message);
}

std::vector<Fd> Rights::take(uint32_t number) {
  std::lock_guard lock(mutex_);
  auto node = bundles_.extract(number);
  return node.empty() ? std::vector<Fd>() : std::move(node.mapped().fds);
}

uint32_t Rights::add(Bundle bundle) {
  std::lock_guard lock(mutex_);
  do {
    latest_ = latest_ == INT32_MAX ? 1 : latest_ + 1;
  } while (bundles_.contains(latest_));
  bundles_.emplace(latest_, std::move(bundle));
  return latest_;
}

}  // namespace ksocket
