// A thread that follows the network interfaces and their addresses as they come and go.
#pragma once

#include <pthread.h>

#include <functional>

#include "core/base/fd.h"
#include "core/socket/links.h"

namespace ksocket {

class LinkFollower {
 public:
  // Called on the thread after each change, and when as much time has passed as it has returned:
  // milliseconds, -1 for no limit. `gone` is null where it is only the time.
  using Changed = std::function<int(const LinksGone* gone)>;

  // Threads have 15 letters.
  LinkFollower(const char* name, Changed changed) : name_(name), changed_(std::move(changed)) {}
  ~LinkFollower() { stop(); }

  // 0 or -errno; 0 where it runs. What changes after this is followed; `wait_ms` as of Changed.
  int start(int wait_ms = -1);
  // It is not called any more once this returns.
  void stop();
  bool running() const { return running_; }

 private:
  static void* entry(void* self);
  void run();

  const char* const name_;
  const Changed changed_;
  Fd events_, stop_;
  pthread_t thread_{};
  int wait_ms_ = -1;
  bool running_ = false;  // of the thread that calls us
};

}  // namespace ksocket
