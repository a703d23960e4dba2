// A TAP device: an Ethernet interface of the machine whose other end is a descriptor (tuntap.rst of the
// kernel's documentation). A frame a read, a frame a write, each behind a virtio_net_hdr.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/socket/address.h"

namespace ksocket {

struct TapOptions {
  struct Network {
    Address address;
    uint8_t prefix_bits;
  };

  std::string name;         // empty: the kernel chooses one, tap0 and so on
  bool persistent = false;  // it stays when its descriptor is closed; else, if it was there before, as it was
  bool multi_queue = false;   // others may attach, too, and the kernel divides flows among them
  uint32_t mtu = 0;           // 0: as it is
  uint32_t queue_frames = 0;  // how many frames wait for a reader; 0: as it is
  // What is before the packet in the datagrams that its frames leave in; not 0: no more are joined than fit a
  // super-datagram, or each would leave as a large one and a small one.
  uint32_t overhead_bytes = 0;
  bool up = true;
  std::vector<Network> networks;  // addresses that it gets
  bool networks_needed = true;    // else it is made without those that are refused
};

struct Tap {
  Fd fd;             // non-blocking, close-on-exec
  std::string name;  // as the kernel has it
  uint32_t mtu = 0;
  bool joins_udp = false;  // UDP comes joined, too (Linux 6.2), not only TCP
  int index = 0;           // of the interface
};

// What was refused, and what is said of it to who asked.
struct TapFailure {
  int error = 0;  // -errno; 0: nothing was
  const char* syscall = "";
  explicit operator bool() const { return error != 0; }
};

// What is known of the device, as it is now: somebody may have given it another name, or another MTU. Refused
// where the name is another interface's by now: the device is in another namespace.
TapFailure refresh_tap(Tap* tap);

// What the options say of a device that is there: MTU, queue, addresses, up.
TapFailure set_up_tap(const TapOptions& options, Tap* tap);

// Makes the device, or attaches to the one that has this name, and sets it up. What is not told stays.
TapFailure open_tap(const TapOptions& options, Tap* out);

}  // namespace ksocket
