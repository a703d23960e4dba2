// The end of the process by exit(3), which is what process.exit() and an uncaught exception come to in the
// main thread: no cleanup hook of an environment runs then, and 'exit' listeners only until one of them
// throws, or exits itself.
#pragma once

#include <functional>
#include <thread>

namespace ksocket {

// Calls back from inside exit(3) if the thread that made this calls it. The runtime may not be called any
// more.
class OnProcessExit {
 public:
  explicit OnProcessExit(std::function<void()> callback);
  ~OnProcessExit();
  OnProcessExit(const OnProcessExit&) = delete;
  OnProcessExit& operator=(const OnProcessExit&) = delete;

 private:
  static void run_all();

  const std::function<void()> callback_;
  const std::thread::id thread_ = std::this_thread::get_id();
};

}  // namespace ksocket
