// What this process holds on to, as the kernel counts it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
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

// Is this thread of ours asleep in the kernel?
inline bool sleeps(pid_t tid) {
  std::ifstream stat("/proc/self/task/" + std::to_string(tid) + "/stat");
  std::string line;
  std::getline(stat, line);
  size_t at = line.rfind(')');  // the name before it may hold anything
  return at != std::string::npos && line.size() > at + 2 && line[at + 2] == 'S';
}

}  // namespace ksocket::test
