// Sends a run of datagrams of one socket in as few system calls and as few trips through the kernel's network
// stack as it can, and says of each exactly what became of it.
//
//   descriptors  a0 b0 a1 c0 b1 a2      (destinations a, b, c)
//   messages     [a0 a1 a2] [b0 b1] [c0]   one sendmmsg; a joined message is one UDP_SEGMENT super-datagram
//
// Each destination's datagrams keep their order; GSO wants segments of one size, of which only the last may
// be shorter.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/control/control.h"
#include "core/datapath/gso_policy.h"
#include "core/memory/counters.h"
#include "core/socket/address.h"
#include "engine/engine.h"

namespace ksocket {

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
};

// Holds scratch arrays of about 100 KiB; one for each thread that sends.
class TxFlush {
 public:
  static constexpr uint32_t kChunk = 512;

  TxFlush();
  ~TxFlush();

  // The payload of each descriptor is `base + offset`. Sets each one's result: bytes, -errno, or
  // kResultDeferred where the kernel wants us to wait. False when any is deferred. A descriptor with
  // segment_size != 0 is joined already; one deferred half-way has offset and length moved to its rest.
  bool send(Engine& engine, TxSocket& socket, const uint8_t* base, std::span<Descriptor> descriptors);

 private:
  struct Scratch;
  struct Group;
  struct Pending;

  uint32_t group_chunk(const TxSocket& socket, std::span<Descriptor> chunk);
  void lay_out(uint8_t family, const uint8_t* base, std::span<Descriptor> chunk, uint32_t groups);
  bool send_chunk(Engine& engine, TxSocket& socket, const uint8_t* base, std::span<Descriptor> chunk);
  bool send_singly(Engine& engine, TxSocket& socket, const uint8_t* base, std::span<Descriptor> chunk,
                   uint16_t first);
  bool send_segments(Engine& engine, TxSocket& socket, const uint8_t* base, Descriptor* descriptor);

  std::unique_ptr<Scratch> scratch_;
};

}  // namespace ksocket
