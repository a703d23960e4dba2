// A network interface by its name: the properties of it that can be set (netdevice(7), rtnetlink(7)). What
// can be refused returns 0 or -errno.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/fd.h"
#include "core/socket/address.h"

namespace ksocket {

class Interface {
 public:
  int open(const std::string& name);

  // It is another one's when a device is renamed, or goes to another namespace, and somebody makes a new one.
  int get_index(int* out) const;
  int get_mtu(uint32_t* out) const;
  int set_mtu(uint32_t mtu) const;
  int set_queue_length(uint32_t packets) const;
  // Of how many frames it is handed over at most joined (GSO).
  int set_joined_max(uint32_t frames) const;
  // Who has known the addresses elsewhere hears of it when it comes up, and at once sends here. Where that
  // can be set: in many containers it cannot.
  void announce() const;
  int bring_up() const;
  // -EEXIST: it has that one.
  int add_address(const Address& address, uint8_t prefix_bits) const;

 private:
  int set_number(uint16_t attribute, uint32_t value) const;

  std::string name_;
  Fd fd_;  // which the kernel is asked by
};

}  // namespace ksocket
