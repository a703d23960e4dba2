// Sockets that are watched again later: the engine says that they are ready, and the kernel that they are
// not. Watched on, they would keep the thread running for nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/endpoint/endpoint.h"

namespace ksocket {

class Postponed {
 public:
  struct Watch {
    std::weak_ptr<Endpoint> endpoint;
    uint32_t interest;
    uint64_t due_ns;
  };

  // From any thread.
  void add(const std::shared_ptr<Endpoint>& endpoint, uint32_t interest, uint64_t wait_ns);
  bool due() const;
  // How long the I/O thread may wait for events: milliseconds, -1: without a limit.
  int timeout_ms() const;
  // Those whose time has come.
  std::vector<Watch> take();

 private:
  static constexpr uint64_t kNever = UINT64_MAX;

  std::mutex mutex_;
  std::vector<Watch> all_;  // guarded by mutex_
  std::atomic<uint64_t> first_ns_{kNever};
};

}  // namespace ksocket
