// One flow of a forwarder; for forwarder*.cc alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>

#include "core/answer/forwarder.h"
#include "core/socket/kernel_drops.h"
#include "core/socket/options.h"

namespace ksocket {

// What a forwarder knows of one client (of one target).
struct Forwarder::Flow {
  Flow(const Key& key, Fd fd, const Address& target, bool offloads, Counters counters)
      : key(key),
        fd(std::move(fd)),
        hops_family(ipv4_number(target) ? 4 : 6),
        out(this->fd.get(), target.family, offloads, nullptr, counters) {}

  uint32_t answered() const {
    return static_cast<uint32_t>(std::min({requests, answers, uint64_t{kAnswersToStay}}));
  }

  Key key;
  Fd fd;                // connected to the back end
  uint8_t hops_family;  // whose hop limit it has: of an IPv4-mapped target IPv4's
  uint8_t hops = 0;     // what it sends has this hop limit; 0: the kernel's default
  Address name;         // where it sends from
  Answers out;
  KernelDrops drops;
  bool grown = false;  // its receive buffer
  uint64_t used_ns = 0;
  std::unique_ptr<PacketInfo> asked;  // of the client's latest datagram: what comes back comes from there
  uint64_t requests = 0;
  uint64_t answers = 0;
  uint32_t failures = 0;  // receives without a datagram since the latest with one; kFailuresToRest: it rests
  uint32_t listed = 0;    // in which of evictable_ it is; kAnswersToStay: in none
  std::list<uint32_t>::iterator evictable;  // where it is there
  uint64_t serial = 0;                      // no other flow of this forwarder has it
  uint64_t origin = 0;    // the serial that it has in the process that hands it over, while that goes on
  bool is_there = false;  // according to the latest list of that process
};

}  // namespace ksocket
