#include "core/control/control.h"

#include <linux/net_tstamp.h>

#include <algorithm>
#include <iterator>

namespace ksocket {

namespace {

// Reads the message into its field if it is of that kind.
template <int kLevel, int kType, typename Form, typename Field>
bool take(const cmsghdr& message, Field* field) {
  if (message.cmsg_level != kLevel || message.cmsg_type != kType) return false;
  Form::read(CMSG_DATA(&message), message.cmsg_len - CMSG_LEN(0), field);
  return true;
}

bool is_zero(const uint8_t (&bytes)[16]) {
  return std::all_of(std::begin(bytes), std::end(bytes), [](uint8_t byte) { return byte == 0; });
}

}  // namespace

RxControl decode_control(const msghdr& header, PacketInfo* packet_info) {
  RxControl out;
  if (packet_info != nullptr) *packet_info = {};
  msghdr* mutable_header = const_cast<msghdr*>(&header);  // CMSG_NXTHDR takes no const
  const uint8_t* end = static_cast<const uint8_t*>(header.msg_control) + header.msg_controllen;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(mutable_header, c)) {
    // The macros look whether the header fits into the buffer, not whether its data does.
    if (c->cmsg_len < CMSG_LEN(0)) break;
    if (c->cmsg_len > static_cast<size_t>(end - reinterpret_cast<const uint8_t*>(c))) break;
#define X(name, type, level_v4, type_v4, Form_v4, level_v6, type_v6, Form_v6, option) \
  if (take<level_v4, type_v4, Form_v4>(*c, &out.name)) continue;                      \
  if (take<level_v6, type_v6, Form_v6>(*c, &out.name)) continue;
    KSOCKET_THREAD_KINDS(X)
    KSOCKET_METADATA_KINDS(X)
#undef X
    if (packet_info == nullptr) continue;
#define X(name, type, level_v4, type_v4, Form_v4, level_v6, type_v6, Form_v6, option) \
  if (take<level_v4, type_v4, Form_v4>(*c, packet_info)) continue;                    \
  if (take<level_v6, type_v6, Form_v6>(*c, packet_info)) continue;
    KSOCKET_PACKET_INFO_KINDS(X)
#undef X
  }
  return out;
}

namespace {

// ::ffff:0.0.0.0
constexpr uint8_t kNoIpv4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// To an IPv4 address, from an IPv6 socket.
bool goes_to_ipv4(const msghdr& header) {
  if (header.msg_name == nullptr || header.msg_namelen < sizeof(sockaddr_in6)) return false;
  sockaddr_in6 to;
  std::memcpy(&to, header.msg_name, sizeof to);
  return to.sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&to.sin6_addr);
}

}  // namespace

void append_more(msghdr* header, uint8_t family, const Descriptor& datagram,
                 std::span<const Source> sources) {
  // An IPv6 socket sends to IPv4 addresses, too: udpv6_sendmsg leaves them to udp_sendmsg.
  if (datagram.tos != 0) {
    append_tos_v4(header, datagram.tos & 0xff);
    if (family == 6) append_tos_v6(header, datagram.tos & 0xff);
  }
  if (datagram.ttl != 0) {
    append_ttl_v4(header, datagram.ttl);
    if (family == 6) append_ttl_v6(header, datagram.ttl);
  }
  if (datagram.flags & kTimed) {
    append_timed(header, SOF_TIMESTAMPING_TX_SOFTWARE);
    append_send_id(header, datagram.send_id);
  }
  if (datagram.source == 0 || datagram.source > sources.size()) return;
  const Source& source = sources[datagram.source - 1u];
  if (source.tx_time_ns != 0) append_tx_time(header, source.tx_time_ns);
  if (source.tx_time_ns != 0 && is_zero(source.address) && source.ifindex == 0) return;
  if (family == 6) {
    in6_pktinfo info{};
    // Of what leaves as IPv4 the source has to be mapped, none as well (ip_cmsg_send).
    bool none = is_zero(source.address) && goes_to_ipv4(*header);
    std::memcpy(&info.ipi6_addr, none ? kNoIpv4 : source.address, 16);
    info.ipi6_ifindex = source.ifindex;
    append_source_v6(header, info);
  } else {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.address, 4);
    info.ipi_ifindex = static_cast<int>(source.ifindex);
    append_source_v4(header, info);
  }
}

}  // namespace ksocket
