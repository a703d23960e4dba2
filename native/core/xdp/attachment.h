// Where a program runs: one link an interface, which is a descriptor of ours. So the kernel takes the program
// away when this is destroyed, and at any death of the process.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/xdp/interfaces.h"

namespace ksocket::xdp {

// How an interface runs a program: its driver before there is a socket buffer, or the kernel's network stack
// once there is one, which every interface can. `automatic`: the first, or else the second.
enum class Mode : uint8_t { automatic, native, generic };

class Attachment {
 public:
  struct Options {
    std::vector<std::string> names;  // of interfaces; empty: all that have an address of the server's
    Address own;                     // where the server is bound
    Mode mode = Mode::automatic;
  };

  // Of one that is wanted: it is attached (and `mode` says how), or why not.
  struct Place {
    std::string name;
    uint32_t ifindex = 0;
    Mode mode = Mode::automatic;
    Fd link;
    int error = 0;  // -errno
    const char* reason = "";
  };

  explicit Attachment(Options options) : options_(std::move(options)) {}

  // These are the interfaces now, and of these (their indices) the former ones are gone: attaches where the
  // program is to be and is not, lets go where it is not to be.
  void follow(const std::vector<Interface>& present, const std::set<uint32_t>& gone, int program);
  // Each datagram meets the one or the other: `program` from now on where `present` was.
  void replace(int program, int present);
  // Nothing is attached any more when this returns.
  void detach() { places_.clear(); }

  const std::vector<Place>& places() const { return places_; }
  // May one become free without anybody saying so? Another program's end is no event.
  bool waits() const;

 private:
  bool wants(const Interface& interface) const;
  void attach(Place& place, const Interface& interface, int program) const;

  const Options options_;
  std::vector<Place> places_;
};

}  // namespace ksocket::xdp
