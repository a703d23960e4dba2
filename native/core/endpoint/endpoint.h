// One socket, as the threads that serve it see it.
//
// Who touches what: the I/O thread receives under `rx_mutex` and works off the backlog under `tx_mutex`; the
// JavaScript thread sends under `tx_mutex` and takes both to close. Neither lock is held while waiting for
// the kernel: every call on the descriptor is non-blocking.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "core/answer/responder.h"
#include "core/datapath/tx_flush.h"
#include "core/memory/counters.h"
#include "core/memory/latency_histogram.h"
#include "core/socket/kernel_drops.h"
#include "core/socket/socket.h"

namespace ksocket {

// A datagram that the kernel would not take yet, with its own copy of the payload.
struct Deferred {
  Descriptor descriptor;
  std::vector<uint8_t> payload;
};

// More than this waiting in one socket is refused with ENOBUFS.
inline constexpr size_t kBacklogBytesMax = 64u << 20;

struct Endpoint {
  Endpoint(uint32_t id, uint8_t family, Fd fd, Counters counters)
      : id(id), family(family), fd(std::move(fd)), counters(counters), tx(this->fd.get(), family, counters) {}

  const uint32_t id;
  const uint8_t family;
  Fd fd;  // reset by close(), under both mutexes
  const Counters counters;

  // Set before the endpoint is watched, constant afterwards.
  uint32_t keep_bytes_max = kDatagramBytesMax;  // longer datagrams are cut
  bool drop_when_full = false;                  // else: stop reading when the ring is full
  bool gro = false;                             // ask for UDP_GRO once there is traffic
  std::unique_ptr<Responder> responder;

  std::atomic<bool> closing{
      false};  // set first by close(), so that the I/O thread does not contend for the locks
  std::atomic<bool> deliver{true};  // does JavaScript want the datagrams?

  // May the kernel's receive buffer grow when datagrams come faster than they are read? Not once somebody has
  // chosen its size.
  std::atomic<bool> may_grow{true};

  std::mutex rx_mutex;
  uint32_t batches = 0;      // guarded by rx_mutex; counts to kBusyAfterBatches
  KernelDrops kernel_drops;  // guarded by rx_mutex
  LatencyHistogram latency;  // guarded by rx_mutex; somewhere while a monitor wants it
  bool large = false;        // guarded by rx_mutex: is it super-datagrams that come?

  std::mutex tx_mutex;
  TxSocket tx;                  // guarded by tx_mutex
  std::list<Deferred> backlog;  // guarded by tx_mutex; costs an idle socket nothing, as a deque would
  size_t backlog_bytes = 0;     // guarded by tx_mutex
  bool tell_drained = false;    // guarded by tx_mutex: put a record into the ring once the backlog is empty

  // May the event loop receive from it, too? Written by the JavaScript thread.
  std::atomic<bool> shared{false};
  uint32_t loop_place = 0;     // JavaScript thread only: which of the thread's places_, if it may
  size_t fresh_at = SIZE_MAX;  // of the thread's fresh sockets, this one may be there

  bool refusal_told = false;  // guarded by the thread's work mutex: the engine would not watch it

  std::mutex interest_mutex;
  bool watched = false;    // guarded by interest_mutex: does the engine know the descriptor?
  uint32_t interest = 0;   // guarded by interest_mutex: what the engine watches for
  bool sole_duty = false;  // guarded by interest_mutex: counted in the thread's sole_duties_
  bool paused = false;     // I/O thread only: reading stopped because the ring was full
};

}  // namespace ksocket
