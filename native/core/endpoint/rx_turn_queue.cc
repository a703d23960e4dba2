// What waits in the kernel's queue of errors (recv(2), MSG_ERRQUEUE), as records of the ring.
#include <cstring>

#include "core/endpoint/rx_turn.h"
#include "core/socket/error_queue.h"

namespace ksocket {

namespace {

// Then datagrams have their turn again.
constexpr uint32_t kPeerErrorsAtOnce = 32;

}  // namespace

// From the kernel's queue of errors into the ring, as far as there is room: what stays is said again.
bool RxTurn::take_queued(Endpoint& endpoint) {
  bool any = false;
  for (uint32_t i = 0; i < kPeerErrorsAtOnce && ring_.room(1, kPeerErrorBytes) > 0; i++) {
    PeerError told;
    if (take_peer_error(endpoint.fd.get(), &told) != 0) break;
    any = true;
    if (told.time_kind != SendTimeKind::none) {
      put_send_time(endpoint, told);
      continue;
    }
    if (told.is_own) continue;  // it was the result of that datagram
    endpoint.counters.add(Counter::rx_peer_errors, 1);
    if (told.peer.family != 0) put_peer_error(endpoint, told);
  }
  if (any) endpoint.futile_turns = 0;
  return any;
}

void RxTurn::put_send_time(Endpoint& endpoint, const PeerError& told) {
  bool sent = told.time_kind == SendTimeKind::software;
  endpoint.counters.add(sent ? Counter::rx_send_times : Counter::rx_missed_tx_times, 1);
  Descriptor* record = ring_.push(0);
  if (record == nullptr) return;  // counted all the same
  record->socket_id = endpoint.id;
  record->kind = DescriptorKind::send_time;
  record->flags = 0;
  record->segment_size = 0;
  record->size = told.id;
  record->received_ns = told.time_ns;
  record->tos = static_cast<uint16_t>(told.time_kind);
}

void RxTurn::put_peer_error(Endpoint& endpoint, const PeerError& told) {
  Descriptor* record = ring_.push(told.length);
  if (record == nullptr) return;  // counted all the same
  std::memcpy(ring_.payload(*record), told.data, told.length);
  PeerTable::Found peer = peers_.intern(told.peer);
  if (peer.evicted) thread_counters_.add(Counter::peer_evictions, 1);
  record->socket_id = endpoint.id;
  record->kind = DescriptorKind::peer_error;
  record->segment_size = 0;
  record->peer_id = peer.id;
  write_address(told.peer, record);
  record->result = -told.error;
  record->user_data = told.mtu;
  record->tos = static_cast<uint16_t>(told.type << 8 | told.code);
  bool reported = told.reporter.family != 0 && endpoint.packet_infos != nullptr;
  record->flags = reported ? kHasPacketInfo : 0;
  if (!reported) return;
  PacketInfo& info = endpoint.packet_infos[ring_.slot_of(*record)];
  info = {};
  std::memcpy(info.local, told.reporter.bytes, sizeof info.local);
  info.local_family = told.reporter.family;
}

}  // namespace ksocket
