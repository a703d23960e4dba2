#include "core/socket/multicast.h"

#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "core/base/or_errno.h"
#include "core/socket/address.h"

namespace ksocket {

namespace {

template <typename Request>
int set(int fd, int level, int name, const Request& request) {
  return or_errno(setsockopt(fd, level, name, &request, sizeof request));
}

in_addr to_in_addr(const Address& address) {
  in_addr out;
  std::memcpy(&out, address.bytes, sizeof out);
  return out;
}

// Empty text is "any": all zero.
int parse_or_any(uint8_t family, const std::string& text, Address* out) {
  *out = {};
  return text.empty() ? 0 : parse_address(family, text, 0, out);
}

int parse_either(const std::string& text, Address* out) {
  return parse_address(4, text, 0, out) == 0 || parse_address(6, text, 0, out) == 0 ? 0 : -EINVAL;
}

int parse_group(const std::string& text, Address* out) {
  if (int error = parse_either(text, out)) return error;
  bool is_group = out->family == 4 ? (out->bytes[0] & 0xf0) == 0xe0 : out->bytes[0] == 0xff;
  return is_group ? 0 : -EINVAL;
}

int set_membership_v4(int fd, bool join, const Address& group, const Address& interface) {
  ip_mreq request{};
  request.imr_multiaddr = to_in_addr(group);
  request.imr_interface = to_in_addr(interface);
  return set(fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, request);
}

int set_membership_v6(int fd, bool join, const Address& group, const Address& interface) {
  ipv6_mreq request{};
  std::memcpy(&request.ipv6mr_multiaddr, group.bytes, 16);
  request.ipv6mr_interface = interface.scope_id;
  return set(fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, request);
}

int set_source_membership_v4(int fd, bool join, const Address& group, const Address& interface,
                             const Address& source) {
  ip_mreq_source request{};
  request.imr_multiaddr = to_in_addr(group);
  request.imr_interface = to_in_addr(interface);
  request.imr_sourceaddr = to_in_addr(source);
  return set(fd, IPPROTO_IP, join ? IP_ADD_SOURCE_MEMBERSHIP : IP_DROP_SOURCE_MEMBERSHIP, request);
}

int set_source_membership_v6(int fd, bool join, const Address& group, const Address& interface,
                             const Address& source) {
  group_source_req request{};
  request.gsr_interface = interface.scope_id;
  SockAddr group_name = to_sockaddr(group), source_name = to_sockaddr(source);
  std::memcpy(&request.gsr_group, &group_name.v6, sizeof group_name.v6);
  std::memcpy(&request.gsr_source, &source_name.v6, sizeof source_name.v6);
  return set(fd, IPPROTO_IPV6, join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, request);
}

}  // namespace

int set_membership(int fd, bool join, const std::string& group_text, const std::string& interface_text,
                   const std::string& source_text) {
  Address group, interface, source;
  if (int error = parse_either(group_text, &group)) return error;
  uint8_t family = group.family;
  if (int error = parse_or_any(family, interface_text, &interface)) return error;
  if (source_text.empty()) {
    return family == 4 ? set_membership_v4(fd, join, group, interface)
                       : set_membership_v6(fd, join, group, interface);
  }
  if (int error = parse_address(family, source_text, 0, &source)) return error;
  return family == 4 ? set_source_membership_v4(fd, join, group, interface, source)
                     : set_source_membership_v6(fd, join, group, interface, source);
}

int check_group(const std::string& group) {
  Address parsed;
  return parse_group(group, &parsed);
}

int set_membership_at(int fd, bool join, const std::string& group_text, uint32_t ifindex,
                      const std::string& source_text) {
  Address group, source;
  if (int error = parse_group(group_text, &group)) return error;
  uint8_t family = group.family;
  int level = family == 4 ? IPPROTO_IP : IPPROTO_IPV6;
  group_source_req request{};
  request.gsr_interface = ifindex;
  SockAddr group_name = to_sockaddr(group);
  std::memcpy(&request.gsr_group, &group_name, sizeof group_name);
  if (source_text.empty()) {
    group_req any{};
    any.gr_interface = ifindex;
    any.gr_group = request.gsr_group;
    return set(fd, level, join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, any);
  }
  if (int error = parse_address(family, source_text, 0, &source)) return error;
  SockAddr source_name = to_sockaddr(source);
  std::memcpy(&request.gsr_source, &source_name, sizeof source_name);
  return set(fd, level, join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, request);
}

int set_multicast_interface(int fd, const std::string& text) {
  Address interface;
  if (parse_address(4, text, 0, &interface) == 0)
    return set(fd, IPPROTO_IP, IP_MULTICAST_IF, to_in_addr(interface));
  if (int error = parse_address(6, text, 0, &interface)) return error;
  return set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(interface.scope_id));
}

}  // namespace ksocket
