// A kernel in memory: what arrives and what is refused is up to the test, what was sent can be looked at.
//
// It keeps to the contract of the real engines: descriptors are watched level-triggered, receive() and send()
// stop before a message that fails and say its errno when it is the first. Safe from any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/socket/address.h"
#include "core/socket/socket.h"
#include "engine/engine.h"
#include "support/addresses.h"

namespace ksocket::test {

// A datagram (or super-datagram) on its way to a socket, or an error that waits there.
struct Arrival {
  std::string data;
  Address from;
  uint16_t segment_size = 0;             // != 0: UDP_GRO says so
  std::optional<uint32_t> kernel_drops;  // SO_RXQ_OVFL
  int error = 0;                         // != 0: receiving fails with this errno, once
  uint64_t received_ns = 0;              // != 0: SO_TIMESTAMPNS
  uint8_t ttl = 0;                       // != 0: IP_RECVTTL or IPV6_RECVHOPLIMIT, as its source is
};

// A message that send() was given.
struct Outgoing {
  int fd = -1;
  Address to;                 // family 0: none given
  std::string data;           // of all its iovecs
  uint16_t segment_size = 0;  // != 0: UDP_SEGMENT says so
  size_t pieces = 0;          // iovecs
  // What else is said, in the order in which it is: "tos=184 ttl=9 from=127.0.0.2 by=3"; IPv6's kinds have a
  // 6 behind their names.
  std::string more;
};

Outgoing outgoing_of(int fd, const msghdr& header);

class FakeEngine : public Engine {
 public:
  // ---- the test's side

  void arrive(int fd, Arrival arrival);
  // At once: one wait() sees them all, in the order of the descriptors' numbers.
  void arrive(std::vector<std::pair<int, Arrival>> arrivals);
  size_t waiting(int fd);  // arrivals not received yet
  void set_writable(int fd, bool writable);
  // It is closed: its number will be another one's.
  void forget(int fd);
  // Asked for each message before it is sent, in order: 0 lets it go, an errno refuses it.
  void on_send(std::function<int(const Outgoing&)> decide);
  // No call takes more messages than this.
  void limit_send(size_t messages_max);

  uint32_t gso_segments_max = kGsoSegmentsMin;  // of its traits

  std::vector<Outgoing> sent();  // what left, in order
  std::vector<Outgoing> take_sent();
  size_t send_calls();
  size_t receive_calls();
  size_t wait_calls();
  // The most messages that the latest receive() had room for.
  size_t offered();
  std::optional<uint32_t> interest(int fd);  // none: not watched

  // ---- the loops' side

  const char* name() const override { return "fake"; }
  Traits traits() const override { return {.offloads = true, .gso_segments_max = gso_segments_max}; }
  int watch(int fd, uint64_t token, uint32_t interest) override;
  int change(int fd, uint64_t token, uint32_t interest) override;
  void unwatch(int fd) override;
  int wait(std::span<Event> events, int timeout_ms) override;
  void wake() override;
  int receive(int fd, std::span<Message> messages) override;
  int send(int fd, std::span<Message> messages) override;

 private:
  struct Watched {
    uint64_t token;
    uint32_t interest;
  };
  size_t collect(std::span<Event> events);

  std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::map<int, Watched> watched_;
  std::map<int, std::deque<Arrival>> arrivals_;
  std::map<int, bool> writable_;
  std::function<int(const Outgoing&)> decide_;
  size_t send_limit_ = SIZE_MAX;
  std::vector<Outgoing> sent_;
  size_t send_calls_ = 0, receive_calls_ = 0, wait_calls_ = 0, offered_ = 0;
  bool woken_ = false;
};

// A descriptor that nothing can be received from or sent to: for sockets whose engine is the fake.
Fd dummy_fd();

}  // namespace ksocket::test
