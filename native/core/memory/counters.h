// Every datagram, and every datagram lost, is in one of these. A row of u64 per socket, and one (slot 0) for
// the I/O thread itself, in memory that JavaScript reads without a call.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/memory/layout.h"

namespace ksocket {

// X(name, what it counts). The first ones are written by the receiving thread only, the rest by whichever
// thread sends, so that the two never share a cache line.
#define KSOCKET_RX_COUNTERS(X)                                                                      \
  X(rx_datagrams, "datagrams received, after GRO was split")                                        \
  X(rx_bytes, "payload bytes received")                                                             \
  X(rx_calls, "receive system calls")                                                               \
  X(rx_batches, "receive calls that returned something")                                            \
  X(rx_gro_batches, "super-datagrams that the kernel had joined (GRO)")                             \
  X(rx_gro_segments, "datagrams that came in super-datagrams")                                      \
  X(rx_truncated, "datagrams cut to the receive limit")                                             \
  X(rx_descriptors_truncated, "datagrams of which not all descriptors could be taken (MSG_CTRUNC)") \
  X(rx_errors, "receive calls that failed")                                                         \
  X(rx_peer_errors, "ICMP errors received about datagrams sent")                                    \
  X(rx_send_times, "times received of when datagrams were sent")                                    \
  X(rx_missed_tx_times, "datagrams not sent, as their departure time had passed")                   \
  X(rx_kernel_drops, "datagrams the kernel dropped, receive buffer full (SO_RXQ_OVFL, SO_MEMINFO)") \
  X(rx_ring_drops, "datagrams read and dropped, ring full")                                         \
  X(rx_queue_drops, "datagrams dropped because an async iterator fell behind")                      \
  X(rx_close_drops, "datagrams that were not handed out yet when the socket closed")                \
  X(rx_blocked, "datagrams from addresses of the socket's block list")                              \
  X(rx_pauses, "times that receiving stopped because the ring was full")

// Of the thread, in its own row.
#define KSOCKET_THREAD_COUNTERS(X)                                       \
  X(wakeups, "wake-ups of JavaScript")                                   \
  X(waits, "times the thread waited for the kernel")                     \
  X(peer_evictions, "addresses that lost their place in the peer table") \
  X(moderations, "times the thread waited for a fuller batch")           \
  X(loop_rounds, "times the event loop received by itself")

#define KSOCKET_TX_COUNTERS(X)                                                    \
  X(tx_datagrams, "datagrams the kernel took")                                    \
  X(tx_bytes, "payload bytes the kernel took")                                    \
  X(tx_calls, "send system calls")                                                \
  X(tx_gso_batches, "super-datagrams sent (GSO)")                                 \
  X(tx_gso_segments, "datagrams that left in super-datagrams")                    \
  X(tx_gso_fallbacks, "super-datagrams refused and sent one by one")              \
  X(tx_errors, "datagrams the kernel refused")                                    \
  X(tx_deferred, "datagrams that waited for the socket to be writable")           \
  X(tx_timed, "datagrams the kernel took that ask for the time they are sent at") \
  X(tx_dropped, "datagrams dropped: backlog full, or closed while waiting")

// Of a server that answers by rules, in its socket's row, behind the rx counters and written by the same
// thread.
#define KSOCKET_SERVER_COUNTERS(X)                                                                  \
  X(denied, "datagrams from sources that the lists refuse, seen by the thread")                     \
  X(limited, "datagrams over a source's rate")                                                      \
  X(limited_total, "datagrams over the server's rate")                                              \
  X(loop_sources, "answers not sent: to ourselves, to nobody, to a service that answers by itself") \
  X(loop_repeats, "answers not sent: to a peer that only answers answers")                          \
  X(rule_drops, "datagrams that a rule, or the default, dropped")                                   \
  X(replies, "replies made by rules and handlers, echoes too")                                      \
  X(refused_replies, "replies not sent because they are longer than the request")                   \
  X(forwarded, "datagrams sent on to a back end")                                                   \
  X(returned, "answers of back ends")                                                               \
  X(forward_drops, "datagrams not forwarded: no place for a flow, or no socket")                    \
  X(flows_opened, "clients that got a socket to a back end")                                        \
  X(flows_expired, "of these, closed because they were idle")                                       \
  X(flows_evicted, "of these, closed to make room for others")

// Of a server that also answers in the kernel (core/xdp/), in a row of that part's own. There the names above
// count what the kernel has done, so that a server's sums are of both; and these, how much of them that is.
#define KSOCKET_IN_KERNEL_COUNTERS(X)                                     \
  X(kernel_requests, "datagrams that the kernel has answered or dropped") \
  X(kernel_request_bytes, "payload bytes of those")                       \
  X(kernel_replies, "of the replies, those that the kernel has sent")     \
  X(kernel_reply_bytes, "payload bytes of those")                         \
  X(kernel_passed, "datagrams that the kernel has left to the thread")

// Places in a row; the thread's row is another one than a socket's.
enum class SocketCounterPlace : uint32_t {
#define X(name, doc) name,
  KSOCKET_RX_COUNTERS(X) KSOCKET_SERVER_COUNTERS(X)
#undef X
      kTxBase = 32,
  kBeforeTx = kTxBase - 1,
#define X(name, doc) name,
  KSOCKET_TX_COUNTERS(X) KSOCKET_IN_KERNEL_COUNTERS(X)
#undef X
      kEnd
};
static_assert(static_cast<uint32_t>(SocketCounterPlace::kEnd) <= kCountersPerRow);
static_assert(static_cast<uint32_t>(SocketCounterPlace::flows_evicted) <
              static_cast<uint32_t>(SocketCounterPlace::kTxBase));
enum class ThreadCounterPlace : uint32_t {
#define X(name, doc) name,
  KSOCKET_THREAD_COUNTERS(X)
#undef X
};

enum class Counter : uint32_t {
#define X(name, doc) name = static_cast<uint32_t>(SocketCounterPlace::name),
  KSOCKET_RX_COUNTERS(X) KSOCKET_SERVER_COUNTERS(X) KSOCKET_TX_COUNTERS(X) KSOCKET_IN_KERNEL_COUNTERS(X)
#undef X
#define X(name, doc) name = static_cast<uint32_t>(ThreadCounterPlace::name),
      KSOCKET_THREAD_COUNTERS(X)
#undef X
};

// A row of counters in shared memory, or nowhere.
class Counters {
 public:
  Counters() = default;
  explicit Counters(uint64_t* row) : row_(row) {}

  // For a counter that one thread writes: no locked instruction.
  void add(Counter counter, uint64_t n) const {
    std::atomic_ref<uint64_t> cell(row_[static_cast<uint32_t>(counter)]);
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  // For the tx counters, which the calling thread and the I/O thread both write.
  void add_atomic(Counter counter, uint64_t n) const {
    std::atomic_ref<uint64_t>(row_[static_cast<uint32_t>(counter)]).fetch_add(n, std::memory_order_relaxed);
  }
  uint64_t get(Counter counter) const {
    return std::atomic_ref<uint64_t>(row_[static_cast<uint32_t>(counter)]).load(std::memory_order_relaxed);
  }
  void clear() const {
    for (uint32_t i = 0; i < kCountersPerRow; i++)
      std::atomic_ref<uint64_t>(row_[i]).store(0, std::memory_order_relaxed);
  }

 private:
  uint64_t* row_ = nullptr;
};

}  // namespace ksocket
