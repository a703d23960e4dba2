#include "core/xdp/address_table.h"

#include <cerrno>

#include "core/answer/protection/source.h"
#include "core/xdp/bpf_call.h"
#include "core/xdp/maps.h"

namespace ksocket::xdp {

namespace {

std::array<uint8_t, 16> key_of(const Address& address) {
  Ipv6Number number = host_number(address);
  std::array<uint8_t, 16> out;
  for (int i = 0; i < 8; i++) {
    out[i] = static_cast<uint8_t>(number.high >> (56 - 8 * i));
    out[8 + i] = static_cast<uint8_t>(number.low >> (56 - 8 * i));
  }
  return out;
}

bool is_loopback4(const Address& address) {
  std::optional<uint32_t> ipv4 = ipv4_number(address);
  return ipv4 && *ipv4 >> 24 == 127;
}

bool is_loopback(const Address& address) {
  Ipv6Number number = host_number(address);
  return is_loopback4(address) || (number.high == 0 && number.low == 1);
}

// fe80::/10: another interface may have the same one, or nobody.
bool is_link_local(const Address& address) {
  return !ipv4_number(address) && host_number(address).high >> 54 == 0xfe80 >> 6;
}

}  // namespace

bool AddressTable::serves(const Address& address) const {
  if (!(ipv4_number(address) ? ipv4_ : ipv6_)) return false;
  return is_unspecified(own_) || host_number(address) == host_number(own_);
}

AddressTable::Flags AddressTable::wanted(const std::vector<Interface>& present) const {
  Flags out;
  for (const Interface& interface : present) {
    for (const Address& address : interface.addresses) {
      bool reachable = interface.is_up && !is_link_local(address);
      out[key_of(address)] |= kAddressLocal | (reachable && serves(address) ? kAddressServed : 0) |
                              (is_loopback(address) ? kAddressLoopback : 0);
    }
    for (const Address& address : interface.broadcasts) out[key_of(address)] |= kAddressBroadcast;
  }
  // Of 127.0.0.0/8, all of which is local, interfaces name one.
  if (is_loopback4(own_)) out[key_of(own_)] |= kAddressLocal | kAddressServed | kAddressLoopback;
  return out;
}

int AddressTable::follow(int map, const std::vector<Interface>& present) {
  Flags next = wanted(present);
  for (const auto& [key, flags] : known_) {
    if (!next.contains(key)) delete_element(map, key.data());
  }
  int first = 0;
  for (auto at = next.begin(); at != next.end();) {
    auto known = known_.find(at->first);
    bool is_there = known != known_.end() && known->second == at->second;
    int error = is_there ? 0 : set_element(map, at->first.data(), &at->second);
    if (error != 0 && error != -E2BIG && first == 0) first = error;
    at = error == 0 ? std::next(at) : next.erase(at);
  }
  known_ = std::move(next);
  return first;
}

}  // namespace ksocket::xdp
