// One socket, as the threads that serve it see it.
//
// Whoever receives holds `rx_mutex`, whoever sends or works off the backlog `tx_mutex`: the JavaScript thread
// and the I/O thread do both. close() takes these two and `watch.mutex`. None is held while waiting for the
// kernel: every call on the descriptor is non-blocking.
//
// Locks are taken in this order: that of LoopSharing, rx_mutex, tx_mutex, watch.mutex.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/answer/protection/loop_guard.h"
#include "core/answer/responder.h"
#include "core/base/backoff.h"
#include "core/datapath/tx_flush.h"
#include "core/endpoint/backlog.h"
#include "core/endpoint/endpoint_filter.h"
#include "core/endpoint/peer_backlogs.h"
#include "core/memory/counters.h"
#include "core/memory/latency_histogram.h"
#include "core/memory/layout.h"
#include "core/socket/bound_path.h"
#include "core/socket/kernel_drops.h"
#include "core/socket/receive_buffer.h"
#include "core/socket/rights.h"
#include "core/socket/socket.h"

namespace ksocket {

// What a local socket has besides.
struct LocalParts {
  LocalParts(Engine& engine, uint32_t id, std::function<void(int)> on_watch)
      : peers(engine, id, std::move(on_watch)) {}
  ~LocalParts() { drop_rights(); }

  std::unique_ptr<BoundPath> bound_path;  // the JavaScript thread's: if it is bound to a file
  uint32_t late_flags = 0;                // the JavaScript thread's: OpenFlags that wait for a name
  bool wants_rights = false;     // guarded by rx_mutex: descriptors that come along are the program's
  std::vector<uint32_t> rights;  // guarded by rx_mutex: bundles that it has not taken yet
  PeerBacklogs peers;            // guarded by tx_mutex: what goes to a path waits there
  uint64_t peers_due_ns = 0;     // guarded by tx_mutex: when somebody goes on with them; 0: nobody will

  // What has come with a datagram, as PacketInfo::ifindex has it. The caller holds rx_mutex.
  uint32_t receive_rights(const msghdr& header, bool has_info, const Counters& counters) {
    uint32_t number = Rights::of_process().received(header);
    if (!wants_rights || !has_info) {
      // Whoever may send to a socket must not fill the process's table of descriptors.
      if (number != 0) Rights::of_process().take(number);
      return 0;
    }
    if (number != 0) rights.push_back(number);
    // The buffer takes all that may come: it is the process that does not (scm_detach_fds).
    if ((header.msg_flags & MSG_CTRUNC) == 0) return number;
    counters.add(Counter::rx_descriptors_truncated, 1);
    return number | kRightsTruncated;
  }
  // Of a bundle, said so. None where it is another socket's, or was taken. The caller holds rx_mutex.
  std::vector<Fd> take_rights(uint32_t number) {
    number &= ~kRightsTruncated;
    auto at = std::find(rights.begin(), rights.end(), number);
    if (at == rights.end()) return {};
    rights.erase(at);
    return Rights::of_process().take(number);
  }
  void drop_rights() {
    for (uint32_t number : std::exchange(rights, {})) Rights::of_process().take(number);
  }
};

struct Endpoint {
  Endpoint(uint32_t id, uint8_t family, Fd fd, Counters counters)
      : id(id), family(family), fd(std::move(fd)), counters(counters), tx(this->fd.get(), family, counters) {}

  const uint32_t id;
  const uint8_t family;
  std::unique_ptr<LocalParts> local;  // of local sockets, from the beginning
  Fd fd;  // reset by close() under all three mutexes: whoever holds one of them may use it, if it is there
  const Counters counters;

  // Set before the endpoint is watched, constant afterwards.
  uint32_t keep_bytes_max = kDatagramBytesMax;  // longer datagrams are cut
  bool drop_when_full = false;                  // else: stop reading when the ring is full
  bool gro = false;                             // ask for UDP_GRO once there is traffic
  bool receive_times = false;  // JavaScript wants SO_TIMESTAMPNS's, not only who measures latency
  bool reads_queue = false;    // of errors: ICMP's (IP_RECVERR), times (SO_TIMESTAMPING, SO_TXTIME)

  // Asked under rx_mutex, by the responder; set before that is. Null: answers go to everybody.
  std::unique_ptr<LoopGuard> loops;
  // Called under rx_mutex. Replaced by the JavaScript thread only before the endpoint is watched.
  std::unique_ptr<Responder> responder;

  // May somebody else have this socket open, by a descriptor of its own?
  std::atomic<bool> held_elsewhere{false};
  // Set first by close(), so that the I/O thread does not contend for the locks.
  std::atomic<bool> closing{false};
  // Does JavaScript want the datagrams?
  std::atomic<bool> deliver{true};
  bool paused = false;  // guarded by LoopSharing's lock: not read until the ring has room again

  std::mutex rx_mutex;
  uint32_t batches = 0;            // guarded by rx_mutex: counts to kBusyAfterBatches
  bool wants_packet_info = false;  // guarded by rx_mutex: the kernel says it, and somebody has a use for it
  PacketInfo* packet_infos =
      nullptr;                   // guarded by rx_mutex: the ring's, of each slot, if the socket wants any
  EndpointFilter filter;         // guarded by rx_mutex
  ReceiveBuffer receive_buffer;  // guarded by rx_mutex
  KernelDrops kernel_drops;      // guarded by rx_mutex, but for refresh()
  LatencyHistogram latency;      // guarded by rx_mutex; has cells while a monitor wants them
  uint32_t mean_bytes = 0;       // guarded by rx_mutex: of the latest batch's messages; 0 where they are cut
  uint32_t futile_turns = 0;     // guarded by rx_mutex: in a row, that brought nothing
  Backoff rx_backoff;            // guarded by rx_mutex

  std::mutex tx_mutex;
  TxSocket tx;         // guarded by tx_mutex
  Backlog backlog;     // guarded by tx_mutex
  Backoff tx_backoff;  // guarded by tx_mutex

  // With the event loop (LoopSharing).
  struct Sharing {
    // May the event loop receive from it, too? Written under LoopSharing's lock, read by anybody.
    std::atomic<bool> shared{false};
    bool refusal_told = false;       // guarded by LoopSharing's lock: the engine would not watch it
    uint32_t place = 0;              // guarded by LoopSharing's lock: which of its places, if shared
    uint32_t fresh_at = UINT32_MAX;  // guarded by LoopSharing's lock: where among the fresh sockets, if there
    uint32_t lone_rounds = 0;        // guarded by LoopSharing's lock: of the loop in a row, up to the limit
  } sharing;

  // By the engine (Watches).
  struct Watch {
    std::mutex mutex;
    bool known = false;      // guarded by mutex: has the engine an entry for the descriptor?
    uint32_t interest = 0;   // guarded by mutex: what it watches for, or is to once it has one
    bool sole_duty = false;  // guarded by mutex: counted in Watches::sole_duties_
    Backoff backoff;         // guarded by mutex: until the engine is asked again that has refused
  } watch;
};

}  // namespace ksocket
