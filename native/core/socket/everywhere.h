// Multicast groups that sockets are in on every interface, also on those that come later.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/socket/link_follower.h"
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

  int follow(const LinksGone& gone);
  void stop_if_idle(std::unique_lock<std::mutex> lock);
  void leave_gone(Membership& membership, const LinksGone& gone);
  int adjust(Membership& membership, const std::vector<Link>& links);
  void abandon(Membership& membership);

  std::mutex mutex_;  // of memberships_
  std::vector<Membership> memberships_;
  LinkFollower follower_{"ksocket-links",
                         [this](const LinksGone* gone) { return follow(gone ? *gone : LinksGone{}); }};
};

}  // namespace ksocket
