// Which engine this kernel, and the sandbox around us, allows.
#pragma once

#include <memory>
#include <string_view>

#include "engine/engine.h"

namespace ksocket {

struct ChosenEngine {
  std::unique_ptr<Engine> engine;  // null: `error` says why
  int error = 0;                   // -errno
};

// `wanted`: "mmsg", "posix", or "" for the best one that works. Another name is -EINVAL.
ChosenEngine choose_engine(std::string_view wanted);

// 0, or -errno of the first of recvmmsg(2) and sendmmsg(2) that is refused.
int probe_mmsg();
// The same of epoll(7) and eventfd(2).
int probe_epoll();

}  // namespace ksocket
