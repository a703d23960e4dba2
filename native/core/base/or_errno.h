// A system call's result, or -errno where it failed.
#pragma once

#include <cerrno>

namespace ksocket {

inline int or_errno(int result) {
  return result < 0 ? -errno : result;
}

}  // namespace ksocket
