// How many datagrams the kernel has dropped because a socket's receive buffer was full.
//
// SO_RXQ_OVFL puts the total beside each datagram, which is free until the first one is dropped; from then on
// it is a control message a datagram, a fifth of what receiving costs. In a flood SO_MEMINFO is asked
// instead, once a batch.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/memory/counters.h"

namespace ksocket {

class KernelDrops {
 public:
  // A datagram said so (modulo 2^32).
  void reported(uint32_t total, const Counters& counters);
  // After each batch of the socket; `drained`: the kernel had no more.
  void after_batch(int fd, uint8_t family, const Counters& counters, uint32_t messages, bool drained);
  // There was nothing to receive.
  void idle(int fd, uint8_t family, const Counters& counters);

  // Asks at any time and from any thread: no datagram may come that would report. False: nothing waits in the
  // receive buffer.
  bool refresh(int fd, const Counters& counters) { return ask(fd, counters) != 0u; }
  // Of a socket that several processes have, each drop is one's to count. Nothing is counted from wait() on,
  // because another one does, until begin(): what was dropped up to then was the other's, or, where it was
  // told(), what was dropped up to this total, none: up to now. stop() counts a last time and says the total;
  // go_on() takes it back. All of it on the JavaScript thread, under what guards this.
  void wait() { stopped_.store(true); }
  void told(int fd, std::optional<uint32_t> total);
  void begin(int fd);
  uint32_t stop(int fd, const Counters& counters);
  void go_on() { stopped_.store(false); }
  // The total that is counted.
  uint32_t seen() const { return seen_.load(std::memory_order_relaxed); }

  bool asking() const { return asking_; }

 private:
  void advance(uint32_t total, const Counters& counters);
  // How many bytes wait in the receive buffer; none where the kernel does not say.
  std::optional<uint32_t> ask(int fd, const Counters& counters);

  std::atomic<uint32_t> seen_{0};
  std::atomic<bool> stopped_{false};
  bool told_ = false;
  uint32_t large_batches_ = 0;  // in a row, with a report
  bool reported_ = false;       // by a datagram of this batch
  bool asking_ = false;         // SO_RXQ_OVFL is off
};

}  // namespace ksocket
