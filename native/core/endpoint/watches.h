// Which sockets the engine watches, and for what. From any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/endpoint/endpoint.h"
#include "engine/engine.h"

namespace ksocket {

class Watches {
 public:
  explicit Watches(Engine& engine) : engine_(engine) {}

  // Adds and removes interest bits. The engine hears of it now. 0, or -errno: then it watches for nothing,
  // and hears of all with a later set().
  int set(Endpoint& endpoint, uint32_t add, uint32_t remove);
  // The engine is to hear of it with a later set().
  void plan(Endpoint& endpoint, uint32_t interest);
  // How long to wait with that after a refusal: longer each time.
  uint64_t retry_ns(Endpoint& endpoint);

  // The caller holds endpoint.watch.mutex for these.

  // Adds the engine's entry anew, if it has one: behind whoever else waits for the socket (exclusive waiters
  // are woken in the order in which they were added), and checked for readiness. As set().
  int renew(Endpoint& endpoint);
  // The descriptor is about to be closed.
  void forget(Endpoint& endpoint);
  // After the loop has got the socket, or lost it.
  void note_duty(Endpoint& endpoint);

  // A descriptor beside the sockets' own is watched, or no longer.
  void count_duty(int by) { sole_duties_.fetch_add(static_cast<uint32_t>(by)); }

  // Is there anything that nobody but the I/O thread would notice: a socket that is not shared with the loop,
  // or one that waits to be writable?
  bool has_sole_duty() const { return sole_duties_.load() > 0; }

 private:
  static constexpr uint64_t kRetryMaxNs = 1'000'000'000;

  int tell(Endpoint& endpoint);

  Engine& engine_;
  std::atomic<uint32_t> sole_duties_{0};  // endpoints with one
};

}  // namespace ksocket
