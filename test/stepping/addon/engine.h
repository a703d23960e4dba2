// The kernel of the stepping tests: the fake one of the native tests, whose calls are steps of the I/O thread
// and whose wait() lets everything else run.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "support/fake_engine.h"

namespace ksocket::stepping {

class SteppedEngine : public test::FakeEngine {
 public:
  SteppedEngine();
  ~SteppedEngine() override;

  // No send to this socket is taken (EAGAIN) until it is writable.
  void set_full(int fd, bool full);
  // Of the messages behind those that it was told of before: so many pass, and the next is refused.
  void refuse(int fd, int passes, int error);
  // The descriptor's number will be another one's.
  void forget(int fd);
  // When the timer that is watched with the token kFreshTimerToken is due.
  void set_timer(uint64_t at_ns) { timer_ns_ = at_ns; }

  const char* name() const override { return "stepping"; }
  Traits traits() const override;
  int watch(int fd, uint64_t token, uint32_t interest) override;
  int change(int fd, uint64_t token, uint32_t interest) override;
  int wait(std::span<Event> events, int timeout_ms) override;
  void wake() override { woken_ = true; }
  int receive(int fd, std::span<Message> messages) override;
  int send(int fd, std::span<Message> messages) override;

 private:
  int decide(const test::Outgoing& message);

  bool woken_ = false;
  uint64_t timer_ns_ = UINT64_MAX;
  std::map<int, bool> full_;
  std::map<int, std::deque<int>> refusals_;  // for each message to come: an errno, or 0
};

// May sockets of the next I/O threads be shared with the event loop?
void set_exclusive(bool exclusive);

// The one that the present I/O thread has; null while there is none.
SteppedEngine* engine();

// The payload of a datagram is told by a number: byte `i` of it.
inline uint8_t content(uint32_t key, uint32_t i) {
  return static_cast<uint8_t>(key * 167 + i * 13 + (i >> 8));
}

}  // namespace ksocket::stepping
