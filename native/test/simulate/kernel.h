// A kernel in memory: descriptors, sockets with their buffers, epoll instances, and everything that may go
// wrong. What does is decided by World::decisions.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/socket/address.h"
#include "engine/engine.h"
#include "simulate/poll_set.h"
#include "simulate/world.h"

namespace ksocket::simulate {

// A datagram, or several that the kernel has joined, in a receive buffer.
struct Datagram {
  uint64_t number = 0;
  Address from;
  uint32_t length = 0;
  uint16_t segment_size = 0;  // 0: one
  uint32_t dropped = 0;       // what SO_RXQ_OVFL says beside it
  uint8_t ttl = 0;
};

// Whoever wants to know what happens to a socket.
class SocketObserver {
 public:
  virtual ~SocketObserver() = default;
  virtual void handed_out(const Datagram& datagram) = 0;
  // A datagram that the kernel has taken; of a joined message each.
  virtual void taken(const Address& to, std::span<const uint8_t> payload) = 0;
};

struct Socket {
  enum class Kind : uint8_t { udp, timer, loop, other };
  Kind kind = Kind::udp;
  uint8_t family = 4;
  Address name, peer;  // peer.family 0: not connected
  SocketObserver* observer = nullptr;
  std::optional<uint64_t> client;  // of a flow: whose number was sent last

  std::deque<Datagram> queue;
  uint32_t queue_max = 64;   // messages
  uint32_t drops = 0;        // in all
  int pending_error = 0;     // sk_err
  uint32_t error_queue = 0;  // what only MSG_ERRQUEUE takes away
  bool said_dead = false;    // an errno after which nobody calls again
  bool shut = false;         // for receiving: readable, and nothing comes
  bool refuses_all = false;  // a filter drops what arrives
  bool reports_drops = false, gro = false, tells_time = false, tells_ttl = false;
  bool foreign_control = false;  // options that somebody else has set

  uint32_t send_bytes_max = 200'000;
  uint32_t in_flight = 0;  // bytes in the send buffer

  uint64_t due_ns = UINT64_MAX;  // of a timer

  std::vector<PollSet*> waiters;  // in the order in which they are woken
};

class Kernel {
 public:
  explicit Kernel(World& world) : world_(world) { world.kernel = this; }

  // ---- the network's side

  // False when nobody took it: it was dropped, or the filter refused it.
  bool arrive(int fd, Datagram datagram);
  void break_off(int fd, int error);  // an ICMP message came
  void queue_errors(int fd, uint32_t count);
  void shut_down(int fd);
  // The device has sent so much.
  void send_out(int fd, uint32_t bytes);
  // How joined messages to a host are refused (last byte of its address).
  struct Path {
    int joined_error = 0;   // 0: they are not
    uint32_t mtu = 65'535;  // larger datagrams are refused with EMSGSIZE
    int error = 0;          // whatever is sent there
  };
  Path& path(uint32_t host) { return paths_[host & 7]; }
  void set_timer(int fd, uint64_t due_ns);
  uint64_t due_ns() const { return due_ns_; }
  void on_time();

  // From now on it does what it should and has room for all.
  void be_kind();
  bool kind() const { return kind_; }
  // Once in so many calls something goes wrong.
  void set_mischief(uint32_t one_in) { mischief_ = NowAndThen(one_in); }
  bool errs() { return !kind_ && mischief_.happens(world_.decisions); }

  // ---- descriptors

  int open(Socket::Kind kind, uint8_t family = 4);
  bool owns(int fd) const { return fd >= kFirst; }
  Socket* find(int fd);
  int close(int fd);
  size_t left_behind = 0;  // messages in the socket that was closed last
  size_t open_count() const { return sockets_.size(); }
  void set_limit(size_t descriptors) { limit_ = descriptors; }
  static constexpr int kFirst = 100'000;

  uint32_t ready(int fd);
  PollSet& engine_set() { return engine_set_; }
  PollSet& loop_set() { return loop_set_; }
  void watch(PollSet& set, int fd, PollSet::Entry entry);
  void unwatch(PollSet& set, int fd);

  // ---- calls on sockets, 0 or more or -errno

  int receive(int fd, std::span<Message> messages);
  int send(int fd, std::span<Message> messages);
  // The memory that SO_MEMINFO says is in use; errors as getsockopt(2).
  bool says_memory = true;

  // Of a joined message's datagrams.
  uint32_t gso_segments_max = kGsoSegmentsMin;

  uint64_t handed_out = 0, taken = 0, calls = 0;  // datagrams, datagrams, calls
  uint64_t flows_received = 0;

 private:
  void tell(int fd, uint32_t what);
  int refusal(const Socket& socket, const Address& to, const msghdr& header, uint32_t bytes,
              uint16_t segment_size);

  World& world_;
  bool kind_ = false;
  NowAndThen mischief_{0};
  uint64_t due_ns_ = UINT64_MAX;  // of the timer that is next
  size_t limit_ = SIZE_MAX;
  std::map<int, std::unique_ptr<Socket>> sockets_;
  PollSet engine_set_, loop_set_;
  Path paths_[8];
  uint32_t interrupted_ = 0;  // EINTR in a row
};

}  // namespace ksocket::simulate
