// poll(2), recvmsg(2), sendmsg(2) and pipe(2), as POSIX has them: where a sandbox or an old kernel refuses
// more.
#pragma once

#include <poll.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "core/base/fd.h"
#include "engine/engine.h"

namespace ksocket {

class PosixEngine final : public Engine {
 public:
  // 0 or -errno; nothing else may be called after a failure.
  int init();

  const char* name() const override { return "posix"; }
  Traits traits() const override { return {.offloads = false, .exclusive = false}; }
  int watch(int fd, uint64_t token, uint32_t interest) override;
  int change(int fd, uint64_t token, uint32_t interest) override;
  void unwatch(int fd) override;
  int wait(std::span<Event> events, int timeout_ms) override;
  void wake() override;
  int receive(int fd, std::span<Message> messages) override;
  int send(int fd, std::span<Message> messages) override;

 private:
  struct Watched {
    int fd;
    uint64_t token;
    uint32_t interest;
  };

  Fd wake_read_;
  Fd wake_write_;
  std::mutex mutex_;
  std::vector<Watched> watched_;  // guarded by mutex_
  bool polling_ = false;          // guarded by mutex_: is the waiting thread in poll()?
  uint64_t rounds_ = 0;           // guarded by mutex_: how often it has been
  std::condition_variable left_poll_;
  bool changed_ = true;  // guarded by mutex_: the waiting thread's copy below is stale

  // The waiting thread's own.
  std::vector<Watched> polled_;
  std::vector<pollfd> polls_;  // polls_[0] is the pipe, polls_[i + 1] belongs to polled_[i]
  size_t next_ = 0;            // where the next wait() starts to report, so that every socket gets its turn
};

}  // namespace ksocket
