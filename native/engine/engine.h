// The narrow waist: everything the loops ask of the kernel's data path. An engine calls the kernel and
// returns its answer; it decides nothing (core/base/errno_policy.h does).
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <span>

#include "core/base/udp_limits.h"

namespace ksocket {

// Linux' mmsghdr, spelled without Linux.
struct Message {
  msghdr header;
  unsigned int length;  // out: bytes received or sent
};

enum Interest : uint32_t { kNothing = 0, kReadable = 1, kWritable = 2 };

struct Event {
  uint64_t token;
  bool readable;  // also set on errors: receiving tells which
  bool writable;
};

// What not every engine can.
struct Traits {
  bool offloads = false;   // its sockets may use GRO and GSO
  bool exclusive = false;  // it waits with exclusive entries of an epoll instance, so that an event loop can
                           // take part (core/sharing/)
  uint32_t gso_segments_max = kGsoSegmentsMin;  // where it offloads: what one message may join
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual const char* name() const = 0;
  virtual Traits traits() const = 0;

  // Which descriptors wait() watches, level-triggered; from any thread. 0 or -errno.
  virtual int watch(int fd, uint64_t token, uint32_t interest) = 0;
  virtual int change(int fd, uint64_t token, uint32_t interest) = 0;
  virtual void unwatch(int fd) = 0;

  // From now on wait() looks into network cards' queues for so long before it sleeps, where the kernel does
  // that (napi busy polling). 0 or -errno.
  virtual int busy_poll(uint32_t) { return -ENOSYS; }

  // Blocks until something is ready, wake() was called, or the time is over (-1: never). The number of
  // events, or -errno. Called by one thread only.
  virtual int wait(std::span<Event> events, int timeout_ms) = 0;
  // Makes a wait(), the present or the next one, return. From any thread.
  virtual void wake() = 0;

  // Non-blocking. How many messages were filled or sent (at least 1), or -errno of the first.
  virtual int receive(int fd, std::span<Message> messages) = 0;
  virtual int send(int fd, std::span<Message> messages) = 0;
};

}  // namespace ksocket
