#include "core/socket/everywhere.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/socket/multicast.h"

namespace ksocket {

namespace {

// Not on this interface: it has just gone, the program has joined there by itself, or it lacks the family.
bool is_about_the_link(int error) {
  return error == -ENODEV || error == -EADDRINUSE || error == -EADDRNOTAVAIL || error == -EINVAL;
}

}  // namespace

int Everywhere::join(uint32_t socket, int fd, const Group& group) {
  if (int error = check_group(group.group)) return error;
  if (int error = follower_.start()) return error;
  std::unique_lock lock(mutex_);
  auto is_it = [&](const Membership& each) { return each.socket == socket && each.group == group; };
  if (std::any_of(memberships_.begin(), memberships_.end(), is_it)) return -EADDRINUSE;
  Membership made{socket, fd, group, {}};
  std::vector<Link> links;
  int error = list_links(&links);
  if (error == 0) error = adjust(made, links);
  if (error == 0) {
    memberships_.push_back(std::move(made));
    return 0;
  }
  abandon(made);
  stop_if_idle(std::move(lock));
  return error;
}

int Everywhere::leave(uint32_t socket, const Group& group) {
  std::unique_lock lock(mutex_);
  auto at = std::find_if(memberships_.begin(), memberships_.end(), [&](const Membership& each) {
    return each.socket == socket && each.group == group;
  });
  if (at == memberships_.end()) return -EADDRNOTAVAIL;
  abandon(*at);
  memberships_.erase(at);
  stop_if_idle(std::move(lock));
  return 0;
}

void Everywhere::forget(uint32_t socket) {
  if (!follower_.running()) return;
  std::unique_lock lock(mutex_);
  std::erase_if(memberships_, [&](const Membership& each) { return each.socket == socket; });
  stop_if_idle(std::move(lock));
}

void Everywhere::stop_if_idle(std::unique_lock<std::mutex> lock) {
  bool idle = memberships_.empty();
  lock.unlock();
  if (idle) stop();
}

// Where the kernel has ended the membership it has to be left before it can be joined again.
void Everywhere::leave_gone(Membership& membership, const LinksGone& gone) {
  const std::string &group = membership.group.group, &source = membership.group.source;
  bool is_ipv6 = group.find(':') != std::string::npos;
  std::erase_if(membership.joined, [&](uint32_t ifindex) {
    bool has_gone = gone.any || gone.links.contains(ifindex) || (is_ipv6 && gone.of_ipv6.contains(ifindex));
    if (has_gone) set_membership_at(membership.fd, false, group, ifindex, source);
    return has_gone;
  });
}

// Joins where it can and is not yet. The first error that is not about an interface alone.
int Everywhere::adjust(Membership& membership, const std::vector<Link>& links) {
  const std::string &group = membership.group.group, &source = membership.group.source;
  // An interface that has gone is in the socket's list until it leaves, and counts
  // (net.ipv4.igmp_max_memberships).
  std::erase_if(membership.joined, [&](uint32_t ifindex) {
    bool is_there =
        std::any_of(links.begin(), links.end(), [&](const Link& link) { return link.ifindex == ifindex; });
    if (!is_there) set_membership_at(membership.fd, false, group, ifindex, source);
    return !is_there;
  });
  int first = 0;
  for (const Link& link : links) {
    if (!link.takes_multicast || membership.joined.contains(link.ifindex)) continue;
    int error = set_membership_at(membership.fd, true, group, link.ifindex, source);
    if (error == 0)
      membership.joined.insert(link.ifindex);
    else if (first == 0 && !is_about_the_link(error))
      first = error;
  }
  return first;
}

void Everywhere::abandon(Membership& membership) {
  const std::string &group = membership.group.group, &source = membership.group.source;
  for (uint32_t ifindex : std::exchange(membership.joined, {}))
    set_membership_at(membership.fd, false, group, ifindex, source);
}

void Everywhere::stop() {
  follower_.stop();
  memberships_.clear();
}

// On the thread of its own.
int Everywhere::follow(const LinksGone& gone) {
  constexpr int kRetryMs = 1000;
  std::vector<Link> links;
  int error = list_links(&links);
  std::lock_guard lock(mutex_);
  // All of them before any joins: the kernel counts who is in a group by the interface's index, and the old
  // membership of one socket would end the new one of another.
  for (Membership& each : memberships_) leave_gone(each, gone);
  // It takes a descriptor, and the program may have none left; nobody will tell of this change again.
  if (error != 0) return kRetryMs;
  for (Membership& each : memberships_) adjust(each, links);
  return -1;
}

}  // namespace ksocket
