// Ethernet frames with a UDP datagram, field by field as the RFCs have them, sound or broken in one way.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/socket/address.h"

namespace ksocket::test {

struct Frame {
  std::vector<uint8_t> payload;
  std::vector<uint8_t> source, local;  // 4 bytes each, or 16
  uint16_t source_port = 0, local_port = 0;
  uint8_t ttl = 64, tos = 0;

  enum class Checksum : uint8_t { whole, partial, none, wrong };
  Checksum checksum = Checksum::whole;
  // Ethernet's addresses: whom it is to, and whom it is from.
  std::array<uint8_t, 6> hardware_to{0x02, 0, 0, 0, 0, 1}, hardware_from{0x02, 0, 0, 0, 0, 2};
  uint32_t padding = 0;  // bytes behind the packet
  uint16_t identification = 0x1234;
  uint32_t flow_label = 0x54321;

  enum class Flaw : uint8_t {
    none,
    to_a_group,  // by its Ethernet address
    to_another,  // so, too
    from_a_group,
    from_nobody,      // from no Ethernet address
    ethertype,        // neither IPv4 nor IPv6; a VLAN's tag, say
    ip_version,       // another one
    options,          // IPv4: some; IPv6: an extension header
    fragment,         // IPv4: the first one; IPv6: a fragment header
    reserved_flag,    // IPv4: RFC 791 has it 0; IPv6: as fragment
    later_fragment,   // IPv4: with an offset
    protocol,         // not UDP
    header_checksum,  // IPv4: wrong; IPv6: as none of UDP
    packet_long,      // longer than the frame
    udp_short,        // UDP says less than IP
    udp_long,         // and more
    udp_tiny,         // less than its own header
    cut,              // the frame ends in the headers
    port,             // another one
    kCount
  };
  Flaw flaw = Flaw::none;

  std::vector<uint8_t> bytes() const;
};

// The Internet checksum's sum (RFC 1071), not complemented.
uint16_t internet_sum(std::span<const uint8_t> bytes, uint32_t seed = 0);
// Of addresses, ports and so on.
uint32_t pseudo_sum(const Frame& frame);
// It is still to be summed, as far as can be seen: the checksum is not right as it is.
bool is_partial(const Frame& frame);

}  // namespace ksocket::test
