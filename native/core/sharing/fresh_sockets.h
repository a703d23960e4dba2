// Sockets that the I/O thread does not watch yet.
//
// A program that makes a socket for each query closes it before the thread has heard of it, and the event
// loop alone receives for it. Where the loop does not, the socket is watched before the loop next sleeps. The
// timer is for a loop that is stuck meanwhile: Limits::fresh_ns is the longest that a datagram waits for the
// thread. The caller holds LoopSharing's lock.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/endpoint/endpoint.h"
#include "engine/engine.h"

namespace ksocket {

using Endpoints = std::vector<std::shared_ptr<Endpoint>>;

// The timer's, among the engine's events: no socket has slot 0.
inline constexpr uint64_t kFreshTimerToken = 0;

class FreshSockets {
 public:
  // Makes the timer. Without one no socket is fresh.
  void open(Engine& engine);
  // False when the socket has to be watched now.
  bool add(const std::shared_ptr<Endpoint>& endpoint);
  void remove(Endpoint& endpoint);

  // They are fresh no more.
  Endpoints take();
  // The same for those that no event loop watches.
  Endpoints take_unshared();

  // The engine said so.
  void on_timer();

 private:
  Fd timer_;
  bool armed_ = false;
  Endpoints list_;
};

}  // namespace ksocket
