// Which engine this kernel, and the sandbox around us, allows.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace ksocket {

struct ChosenEngine {
  std::unique_ptr<Engine> engine;  // null: `error` says why
  int error = 0;                   // -errno
};

// Of all there are, the best one first.
std::vector<const char*> engine_names();
// The system calls that each of them needs.
std::vector<const char*> engine_needs();

// `wanted`: one of engine_names(), or "" for the best one that works. Another name is -EINVAL.
ChosenEngine choose_engine(std::string_view wanted);

// The name of the engine that choose_engine(wanted) makes. Where it makes none: of the one that was asked
// for, or of the best that works, or of the last, which needs the least.
const char* engine_name_for(std::string_view wanted);

// 0, or -errno of the first of recvmmsg(2) and sendmmsg(2) that is refused.
int probe_mmsg();
// The same of recvmsg(2) and sendmsg(2).
int probe_msg();
// The same of epoll(7) and eventfd(2).
int probe_epoll();

}  // namespace ksocket
