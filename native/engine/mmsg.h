// recvmmsg(2), sendmmsg(2), epoll(7) and eventfd(2): many datagrams a system call.
#pragma once

#include "core/base/fd.h"
#include "engine/engine.h"
#include "engine/gso_limit.h"

namespace ksocket {

class MmsgEngine final : public Engine {
 public:
  // 0 or -errno; nothing else may be called after a failure.
  int init();

  const char* name() const override { return "mmsg"; }
  Traits traits() const override {
    return {.offloads = true, .exclusive = true, .gso_segments_max = gso_segments_max()};
  }
  int watch(int fd, uint64_t token, uint32_t interest) override;
  int change(int fd, uint64_t token, uint32_t interest) override;
  void unwatch(int fd) override;
  int wait(std::span<Event> events, int timeout_ms) override;
  void wake() override;
  int busy_poll(uint32_t usecs) override;
  int receive(int fd, std::span<Message> messages) override;
  int send(int fd, std::span<Message> messages) override;

 private:
  int control(int operation, int fd, uint64_t token, uint32_t interest);

  Fd epoll_;
  Fd event_;
};

}  // namespace ksocket
