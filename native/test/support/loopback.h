// The other side of a conversation: a plain blocking-with-a-deadline socket on the loopback interface.
#pragma once

#include <optional>
#include <string>

#include "core/socket/address.h"
#include "core/socket/socket.h"

namespace ksocket::test {

// An IPv4 loopback address that is this process's alone: whoever still sends to a port of 127.0.0.1 that is
// now ours (another test of this suite, another program) does not disturb us.
std::string loopback_address();

// A UDP socket bound to a port of the kernel's choice on loopback_address() or ::1; throws when that fails.
Fd bound_socket(uint8_t family = 4);
Address name_of(int fd);
bool has_ipv6();

class Peer {
 public:
  explicit Peer(uint8_t family = 4) : fd_(bound_socket(family)), address_(name_of(fd_.get())) {}

  int fd() const { return fd_.get(); }
  const Address& address() const { return address_; }

  // True when the kernel took it.
  bool send(const Address& to, const std::string& data);
  // The next datagram, waiting for it up to the deadline; none when nothing came.
  std::optional<std::string> receive(Address* from = nullptr);
  // Is there nothing to receive at this moment?
  bool quiet();

 private:
  Fd fd_;
  Address address_;
};

}  // namespace ksocket::test
