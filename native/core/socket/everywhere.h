// Multicast groups that sockets are in on every interface, and the thread that follows the interfaces as they
// come and go.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/socket/links.h"

namespace ksocket {

class Everywhere {
 public:
  struct Group {
    std::string group, source;  // as set_membership has them
    bool operator==(const Group&) const = default;
  };

  ~Everywhere() { stop(); }

  // Joins on each interface that is up and can; later on those that come, as far as they take it.
  // -EADDRINUSE: that socket is in it. After any error it is nowhere. `fd` is the socket's until forget().
  int join(uint32_t socket, int fd, const Group& group);
  // -EADDRNOTAVAIL: it is not in it.
  int leave(uint32_t socket, const Group& group);
  // The socket is about to be closed.
  void forget(uint32_t socket);
  // Nothing is followed any more.
  void stop();

 private:
  struct Membership {
    uint32_t socket;
    int fd;
    Group group;
    std::set<uint32_t> joined;  // indices of interfaces
  };

  static void* entry(void* self);
  void run();
  int start();
  void stop_if_idle(std::unique_lock<std::mutex> lock);
  void leave_gone(Membership& membership, const LinksGone& gone);
  int adjust(Membership& membership, const std::vector<Link>& links);
  void abandon(Membership& membership);

  std::mutex mutex_;  // of memberships_
  std::vector<Membership> memberships_;
  Fd events_, stop_;
  pthread_t thread_{};
  bool running_ = false;  // of the thread that calls us
};

}  // namespace ksocket
