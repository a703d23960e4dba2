// Descriptors on their way between processes, SCM_RIGHTS of unix(7): what is to leave with a datagram, until
// it has, and what came with one, until the program takes it. A bundle of them has a number.
//
// One table for the process; from any thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/base/fd.h"

namespace ksocket {

// SCM_MAX_FD: of one datagram.
inline constexpr size_t kRightsMax = 253;

class Rights {
 public:
  static Rights& of_process();

  // Copies of these. Their number, which is not 0, or -errno.
  int64_t copy(std::span<const int32_t> fds);
  // All that came with a message. 0: nothing did. What the kernel had no room for it has closed (MSG_CTRUNC).
  uint32_t received(const msghdr& header);
  // The control message that says them; empty where there is no such bundle (any more). Good until take().
  std::span<uint8_t> message(uint32_t number);
  // They are the caller's.
  std::vector<Fd> take(uint32_t number);

 private:
  struct Bundle {
    std::vector<Fd> fds;
    std::vector<uint8_t> message;
  };

  uint32_t add(Bundle bundle);

  std::mutex mutex_;
  std::unordered_map<uint32_t, Bundle> bundles_;  // guarded by mutex_
  uint32_t latest_ = 0;                           // guarded by mutex_
};

}  // namespace ksocket
