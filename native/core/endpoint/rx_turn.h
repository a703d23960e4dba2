// One turn of receiving: a batch from the kernel, answered by the socket's responder if it has one, and put
// into the ring if JavaScript wants it.
#pragma once

#include <memory>
#include <utility>

#include "core/datapath/peer_table.h"
#include "core/datapath/rx_batch.h"
#include "core/datapath/rx_round.h"
#include "core/endpoint/endpoint.h"
#include "core/memory/chunks.h"
#include "core/memory/counters.h"
#include "core/memory/rx_ring.h"
#include "core/socket/error_queue.h"
#include "engine/engine.h"

namespace ksocket {

class RxTurn {
 public:
  enum class Outcome {
    drained,    // the kernel has no more for now
    more,       // it may have
    ring_full,  // and the socket wants to wait: stop watching it
    futile,     // it is said to be ready, again and again, and has nothing: stop watching it for a while
    dead,       // the descriptor is of no use any more: stop watching it
  };

  RxTurn(Engine& engine, RxRing& ring, PeerTable& peers, TxFlush& flush, Counters thread_counters)
      : engine_(engine), ring_(ring), peers_(peers), flush_(flush), thread_counters_(thread_counters) {}

  // `told`: the kernel has said that there is something, so that it is strange if there is nothing. `most`
  // messages. The caller holds endpoint.rx_mutex. A filter that waits for it is set once nothing is left in
  // the kernel; what became of that is in `filter_error`.
  Outcome receive(Endpoint& endpoint, bool told = true, uint32_t most = RxBatch::kSlots,
                  int* filter_error = nullptr) {
    Outcome outcome = receive_batch(endpoint, told, most);
    // Whatever it was: nothing more arrives, so there may be no turn that finds nothing.
    if (endpoint.filter.waits()) {
      int error = endpoint.filter.after_turn(endpoint.fd.get(), endpoint.family);
      if (filter_error != nullptr) *filter_error = error;
    }
    return outcome;
  }
  // Before the socket closes: what waits in the kernel counts as received and dropped, and the kernel's own
  // drops are the last word. The caller holds endpoint.rx_mutex.
  void discard(Endpoint& endpoint);
  // May the next turns receive into these? Only while JavaScript cannot give any. Null: no.
  void use_chunks(Chunks* chunks) { chunks_ = chunks; }
  // What the ring has no room for now counts as received and dropped. The caller holds endpoint.rx_mutex.
  void drop_rest(Endpoint& endpoint) {
    for (uint32_t i = 0; i < kRestRounds && discard_batch(endpoint) > 0; i++) {
    }
    take_round();  // it says nothing of the traffic
  }
  // How many messages may be read of this socket without a chance that the ring cannot take them.
  uint32_t room_for(const Endpoint& endpoint);

  // All turns since the last take_round().
  const RxRound& round() const { return round_; }
  RxRound take_round() { return std::exchange(round_, {}); }

  // For the first local socket, before it is watched.
  bool has_local_batch() const { return local_batch_ != nullptr; }
  void make_local_batch() {
    if (!local_batch_) local_batch_ = std::make_unique<RxBatch>(sizeof(sockaddr_un), kLocalControlBytes);
  }

  // For what a responder does between two batches.
  ResponderTools tools() { return {engine_, flush_, ip_batch_, round_}; }

 private:
  static constexpr uint32_t kRestRounds = 64;  // more than a local socket's queue has

  struct Target {
    std::span<Message> slots;
    std::span<const Chunks::Free> chunks = {};  // not empty: those that the slots are
    bool in_place = false;                      // chunks, or the ring itself
  };
  Target target_for(const Endpoint& endpoint, uint32_t wanted);
  Outcome receive_batch(Endpoint& endpoint, bool told, uint32_t most);
  // As room_for(), of a socket that need not leave the rest to others.
  uint32_t room_for_messages(const Endpoint& endpoint);
  uint32_t discard_batch(Endpoint& endpoint);
  Outcome after_failure(Endpoint& endpoint, int error, bool told);
  void note_traffic(Endpoint& endpoint, uint32_t count);
  uint32_t decode(Endpoint& endpoint, uint32_t count);
  PacketInfo* packet_infos();
  RxBatch& batch_of(const Endpoint& endpoint) {
    if (endpoint.family != kLocal) return ip_batch_;
    make_local_batch();
    return *local_batch_;
  }
  Address source_of(Endpoint& endpoint, uint32_t slot, PacketInfo* info);
  void deliver(Endpoint& endpoint, const Incoming& datagram);
  void deliver_in_place(Endpoint& endpoint, const Incoming& datagram);
  void deliver_chunk(Endpoint& endpoint, const Incoming& datagram, const Chunks::Free& chunk);
  void put(Endpoint& endpoint, const Incoming& datagram, uint32_t offset, uint32_t length,
           uint16_t segment_size);
  void describe(Endpoint& endpoint, const Incoming& datagram, Descriptor* record, uint32_t length,
                uint16_t segment_size);
  bool take_queued(Endpoint& endpoint);
  void put_send_time(Endpoint& endpoint, const PeerError& told);
  void put_peer_error(Endpoint& endpoint, const PeerError& told);
  void report(Endpoint& endpoint, int error);

  Engine& engine_;
  RxRing& ring_;
  PeerTable& peers_;
  TxFlush& flush_;
  Counters thread_counters_;
  RxBatch ip_batch_;
  std::unique_ptr<RxBatch> local_batch_;  // of local sockets
  RxBatch* batch_ = &ip_batch_;           // that of the present turn
  Incoming incoming_[RxBatch::kSlots];
  std::unique_ptr<PacketInfo[]> packet_infos_;  // of those, once a socket wants them
  Chunks* chunks_ = nullptr;
  RxRound round_;
  bool yields_ = false;  // in the present turn: what does not fit is the socket's own fault
};

}  // namespace ksocket
