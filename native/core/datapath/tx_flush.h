// Sends a run of datagrams of one socket in as few system calls and as few trips through the kernel's network
// stack as it can (TxGroups), and says of each exactly what became of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/datapath/gso_policy.h"
#include "core/datapath/tx_groups.h"
#include "core/memory/counters.h"
#include "engine/engine.h"

namespace ksocket {

// One that the kernel has refused for good, of a descriptor that may have others that left.
struct RefusedDatagram {
  const Descriptor* of;
  uint32_t bytes;
};

// The sending side of a descriptor.
struct TxSocket {
  TxSocket(int fd, uint8_t family, Counters counters) : fd(fd), family(family), counters(counters) {}

  int fd;
  uint8_t family;
  Counters counters;
  GsoPolicy gso;
  // An ECONNREFUSED is an ICMP answer to an earlier datagram of a connected socket, and the kernel did not
  // send this one because of it. A responder just sends again; a user's socket reports it, as node:dgram
  // does.
  bool retry_refused = false;
  // What the network says of earlier datagrams is in a queue of its own (IP_RECVERR), and is not to be the
  // result of another one. Set before the socket is watched, constant afterwards.
  bool errors_are_queued = false;
  // Who asks is told of each that is refused, and forgets them.
  std::vector<RefusedDatagram>* refused = nullptr;
};

// One for each thread that sends.
class TxFlush {
 public:
  static constexpr uint32_t kChunk = TxGroups::kChunk;

  // The payload of each descriptor is `base + offset`. Sets each one's result: bytes, -errno, or
  // kResultDeferred where the kernel wants us to wait. False when any is deferred. A descriptor with
  // segment_size != 0 is joined already; one deferred half-way has offset and length moved to its rest.
  // `sources`: those that Descriptor::source counts.
  bool send(Engine& engine, TxSocket& socket, const uint8_t* base, std::span<Descriptor> descriptors,
            std::span<const Source> sources = {});
  // One datagram, of which nothing waits: bytes or -errno, of what says to wait, too. `to` is null on a
  // connected socket.
  static int send_one(Engine& engine, TxSocket& socket, std::span<const uint8_t> payload, SocketName* to);
  // Where the latest send() was false: the errno that made it wait.
  int blocked_by() const { return blocked_by_; }

 private:
  class Outlet;
  using Group = TxGroups::Group;

  bool send_chunk(Outlet& out, const uint8_t* base, std::span<Descriptor> chunk);
  uint32_t sendable(const GsoPolicy& gso, uint32_t first, uint32_t groups) const;
  bool settle_refused(Outlet& out, const Group& group, int error, const uint8_t* base,
                      std::span<Descriptor> chunk);
  bool send_singly(Outlet& out, const uint8_t* base, std::span<Descriptor> chunk, uint16_t first);
  bool send_segments(Outlet& out, const uint8_t* base, Descriptor* descriptor);
  void settle_sent(Outlet& out, const Group& group, std::span<Descriptor> chunk);
  void defer(std::span<Descriptor> chunk, uint16_t first);

  TxGroups groups_;
  std::span<const Source> sources_;  // of the present send()
  int blocked_by_ = 0;
};

}  // namespace ksocket
