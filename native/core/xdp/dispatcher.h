// Servers of this process that share network interfaces: an interface has one program, and this process's
// leads to the programs of each server whose datagram a frame may be.
//
//   interface ─ link ─▶ entry ─┬▶ server 0: checks, rules, replies
//                              └▶ server 1: …
//
// All methods may be called on any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "core/base/fd.h"
#include "core/xdp/emit_entry.h"
#include "core/xdp/interfaces.h"

namespace ksocket::xdp {

// How an interface runs a program: its driver before there is a socket buffer, or the kernel's network stack
// once there is one, which every interface can. `automatic`: the first, or else the second.
enum class Mode : uint8_t { automatic, native, generic };

class Dispatcher {
 public:
  // Of the caller's network namespace, as long as the process lives.
  static Dispatcher& here();

  struct Attached {
    Mode mode = Mode::automatic;
    int error = 0;  // -errno
    const char* reason = "";
  };
  // Hears in which mode the interface is going to run programs, before the first frame comes.
  using Told = std::function<void(Mode)>;

  // The server's number; -errno: there are too many of them.
  int join(const Route& route);
  // Nothing leads to its programs when this returns.
  void leave(int server);
  // Whatever comes from now on meets these, on all interfaces at once; -1: none. 0 or -errno.
  int lead_to(int server, int first, int left);

  // What comes by this interface and is the server's meets its programs. Once more when the interface has
  // changed.
  Attached attach(int server, const Interface& interface, Mode wanted, const Told& told);
  void detach(int server, uint32_t ifindex);

 private:
  // Of an interface that has a program of ours.
  struct Port {
    Mode mode = Mode::automatic;
    Entry entry;
    Fd program, link;
  };

  Dispatcher() = default;
  Attached add(Port& port, int server, const Interface& interface);
  Attached attach_first(int server, const Interface& interface, Mode mode);
  int load(const Entry& entry, Fd* out) const;
  int swap(Port& port, const Entry& entry) const;

  std::mutex mutex_;  // of all that follows
  Fd servers_;        // MapId::servers
  std::map<int, Route> routes_;
  std::map<uint32_t, Port> ports_;
};

}  // namespace ksocket::xdp
