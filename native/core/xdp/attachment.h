// Where a server's programs run: on which interfaces, and what became of each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/xdp/dispatcher.h"
#include "core/xdp/interfaces.h"

namespace ksocket::xdp {

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
    int error = 0;  // -errno
    const char* reason = "";
  };

  Attachment(Options options, const Route& route)
      : options_(std::move(options)), route_(route), dispatcher_(Dispatcher::here()) {}
  ~Attachment() { detach(); }

  // From now on datagrams meet these programs, wherever it is attached. 0 or -errno.
  int lead_to(int first, int left);
  // These are the interfaces now: attaches where it is to be and is not, lets go where it is not to be.
  // `generic`: MapId::generic of the programs, or -1.
  void follow(const std::vector<Interface>& present, int generic);
  // Nothing is attached any more when this returns.
  void detach();

  const std::vector<Place>& places() const { return places_; }
  // May one become free without anybody saying so? Another program's end is no event.
  bool waits() const;

 private:
  bool wants(const Interface& interface) const;

  const Options options_;
  const Route route_;
  Dispatcher& dispatcher_;
  int server_ = -1;  // its number there
  std::vector<Place> places_;
};

}  // namespace ksocket::xdp
