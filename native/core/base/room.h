// Is there memory? `new` is not asked here: compiled without exceptions it ends the process where a limit
// (RLIMIT_AS, RLIMIT_DATA, a kernel that promises no more than it has) leaves it none. So before something
// large is made the kernel is asked for as much at once, and gives it back.
#pragma once

#include <sys/mman.h>

#include <cstddef>

namespace ksocket {

// What has to be left besides, for what is small and for the runtime, which ends the process as well.
inline constexpr size_t kSpareBytes = size_t{8} << 20;

inline bool has_room(size_t bytes) {
  size_t wanted = 0;
  if (__builtin_add_overflow(bytes, kSpareBytes, &wanted)) return false;
  void* memory = mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  munmap(memory, wanted);
  return true;
}

}  // namespace ksocket
