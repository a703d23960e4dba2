// What waits for the receivers of a local socket's datagrams, a queue for each of them, by their names: none
// waits for another one that does not read, and it keeps its order whether the socket is connected or not.
//
// A receiver takes net.unix.max_dgram_qlen datagrams, and then the kernel says EAGAIN, unix(7), though the
// sending socket is writable. What becomes writable once the receiver has room is a socket that is connected
// to it (unix_dgram_poll): its probe. Where EAGAIN was about the sender's own buffer, or there can be no
// probe, the queue is parked until somebody says that it may be tried again. From time to time all are: there
// may be another socket by that name, which a probe does not know of.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/fd.h"
#include "core/datapath/tx_flush.h"
#include "core/endpoint/backlog.h"
#include "core/memory/layout.h"
#include "engine/engine.h"

namespace ksocket {

// The caller holds the socket's tx_mutex for all of these.
class PeerBacklogs {
 public:
  // `on_watch` hears of each probe that the engine watches, +1, and no longer watches, -1.
  PeerBacklogs(Engine& engine, uint32_t endpoint_id, std::function<void(int)> on_watch)
      : engine_(engine), endpoint_id_(endpoint_id), on_watch_(std::move(on_watch)) {}
  ~PeerBacklogs() {
    clear();
    connected(0);
  }

  size_t datagrams() const;
  size_t payload_bytes() const;

  // As TxFlush::send(), and copies what has to wait. How many datagrams that are.
  uint32_t send(TxFlush& flush, TxSocket& socket, const uint8_t* base, std::span<Descriptor> descriptors);
  // Where a connected socket sends to, by its name's number; 0: it is not connected, or its peer has no name.
  void connected(uint64_t number);
  uint64_t connected_to() const { return connected_to_; }
  // Does anything wait for this receiver?
  bool waits_for(uint64_t number) const { return by_number_.contains(number); }
  bool empty() const { return by_number_.empty(); }
  // The probe with this key is writable.
  void ready(uint32_t key, TxFlush& flush, TxSocket& socket, std::vector<Descriptor>* completions);
  // Tries what is parked, or all.
  void go_on(TxFlush& flush, TxSocket& socket, std::vector<Descriptor>* completions, bool all);
  bool any_parked() const { return parked_ > 0; }

  // As Backlog::notify_drained(), of the next queue that ends.
  bool notify_drained() { return tell_drained_ = !by_number_.empty(); }
  // Drops everything. How many datagrams that were.
  size_t clear();

 private:
  struct Queue {
    uint64_t number;  // of the receiver's name (PathTable), held
    Backlog backlog;
    Fd probe;
    bool parked = true;
  };

  // So many at once have a probe, which takes a descriptor.
  static constexpr size_t kProbesMax = 1024;

  uint64_t number_of(const Descriptor& to) const;
  Queue* find(const Descriptor& to);
  uint32_t add(const Descriptor& to);
  uint32_t keep(Queue* queue, const uint8_t* base, Descriptor* descriptor, const Counters& counters);
  bool is_ready(const Queue& queue) const;
  void wait(uint32_t place, Queue* queue);
  void park(Queue* queue);
  void probe_again(uint32_t place);
  void work_off(uint32_t place, TxFlush& flush, TxSocket& socket, std::vector<Descriptor>* completions);
  void remove(uint32_t place);
  void tell_if_drained(std::vector<Descriptor>* completions);

  Engine& engine_;
  const uint32_t endpoint_id_;
  const std::function<void(int)> on_watch_;
  std::vector<std::unique_ptr<Queue>> queues_;  // by key; null: free
  std::vector<uint32_t> free_;
  std::unordered_map<uint64_t, uint32_t> by_number_;
  size_t probes_ = 0, parked_ = 0, bytes_ = 0;
  uint64_t connected_to_ = 0;  // held
  uint32_t turns_ = 0;         // of go_on()
  bool emptied_ = false;       // a queue, since somebody was told
  bool tell_drained_ = false;
};

}  // namespace ksocket
