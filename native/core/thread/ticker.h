// About once a second responders that want it look for what has timed out.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/endpoint/endpoint.h"

namespace ksocket {

class Ticker {
 public:
  static constexpr int kTickMs = 1000;

  void add(std::weak_ptr<Endpoint> endpoint);

  // How long the I/O thread may wait for events, until it is time to: milliseconds, -1: without a limit.
  int timeout_ms() const;
  // Ticks if it is time to. The I/O thread, without any endpoint's lock.
  void tick();

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<Endpoint>> all_;  // guarded by mutex_
  std::atomic<bool> any_{false};              // has there ever been one?
  uint64_t ticked_ns_ = 0;                    // the I/O thread's
};

}  // namespace ksocket
