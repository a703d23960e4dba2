// What this process holds on to, as the kernel counts it.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <thread>

namespace ksocket::test {

inline size_t entries_of(const char* directory) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) count++;
  return count;
}
inline size_t open_descriptors() {
  return entries_of("/proc/self/fd");
}
inline size_t threads() {
  return entries_of("/proc/self/task");
}

// Before a test starts any. ThreadSanitizer starts one of its own with the program's first.
inline size_t threads_at_rest() {
  std::thread([] {}).join();
  // A joined thread may still be listed for a moment: only a count that stays is one.
  size_t count = 0;
  for (int same = 0; same < 20; same++) {
    size_t now = threads();
    if (now != count) same = 0;
    count = now;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return count;
}

}  // namespace ksocket::test
