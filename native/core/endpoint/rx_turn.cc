#include "core/endpoint/rx_turn.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "core/base/clock.h"
#include "core/base/errno_policy.h"
#include "core/base/udp_limits.h"
#include "core/socket/error_queue.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

// A socket for one answer does not pay for options that only help where there is traffic: they are set with
// the second batch, or the first one of more than a datagram. Drops are counted from the socket's first day
// all the same; and while no other socket of the machine has UDP_GRO, setting it costs some 50 us, and
// closing the socket as much again: the kernel patches its code for it.
constexpr uint32_t kBusyAfterBatches = 2;

// Messages of that size on average are worth receiving into the ring itself, at a place for the largest each.
constexpr uint32_t kInPlaceBytes = 6 * 1024;
// And those into memory that a listener may keep, of which they take half at least.
constexpr uint32_t kHugeBytes = kChunkBytes / 2;
// So many bytes at once still lie in a core's cache when JavaScript reads them.
constexpr uint32_t kBytesAtOnce = 384 * 1024;
constexpr uint32_t kPlacesMin = 8;
// Of the ring's arena, for those that take less than half of their places.
constexpr uint32_t kSparsePart = 2;
// Those are told of as large (RxRound).
constexpr uint32_t kLargeBytes = 16 * 1024;

// So many turns that bring nothing, one after the other, are not somebody else who was faster: the socket was
// shut down for receiving (shutdown(2)), errors wait in a queue that nobody reads (IP_RECVERR), or receiving
// itself fails.
constexpr uint32_t kFutileTurns = 64;

// So many batches empty the largest buffer that a socket gets by itself (receive_buffer.h).
constexpr uint32_t kLockedRounds = 256;

}  // namespace

RxTurn::Outcome RxTurn::receive_batch(Endpoint& endpoint, bool told, uint32_t most) {
  batch_ = &batch_of(endpoint);
  uint32_t wanted = most;
  bool deliver = endpoint.deliver.load(std::memory_order_relaxed);
  yields_ = ring_.yields(endpoint.id);
  if (deliver && !endpoint.drop_when_full) {
    // Nothing is read that the ring could not take: what stays in the kernel is not lost yet.
    wanted = yields_ ? 0 : std::min(most, room_for_messages(endpoint));
    if (wanted == 0) return Outcome::ring_full;
  }

  bool large = endpoint.mean_bytes >= kLargeBytes;
  bool in_place = endpoint.mean_bytes >= kInPlaceBytes && deliver && !endpoint.responder && !yields_;
  Target target = in_place ? target_for(endpoint, wanted) : Target{batch_->slots(wanted)};
  wanted = static_cast<uint32_t>(target.slots.size());
  int got = engine_.receive(endpoint.fd.get(), target.slots);
  endpoint.counters.add(Counter::rx_calls, 1);
  if (got < 0 && endpoint.reads_queue) {
    bool any = take_queued(endpoint);
    if (endpoint.tx.errors_are_queued && is_queued_error(-got))
      return Outcome::more;  // which is said of its own datagram
    if (any && got == -EAGAIN) return Outcome::more;
  }
  if (got < 0) return after_failure(endpoint, got, told);
  endpoint.futile_turns = 0;
  endpoint.rx_backoff.reset();

  uint32_t count = static_cast<uint32_t>(got);
  if (endpoint.batches < kBusyAfterBatches) note_traffic(endpoint, count);
  uint32_t bytes = decode(endpoint, count);
  endpoint.kernel_drops.after_batch(endpoint.fd.get(), endpoint.family, endpoint.counters, count,
                                    count < wanted);
  uint64_t drops = endpoint.counters.get(Counter::rx_kernel_drops);
  endpoint.receive_buffer.after_read(endpoint.fd.get(), endpoint.family, {count, wanted, bytes, drops});
  std::span<const Incoming> received(incoming_, count);
  if (endpoint.responder) received = endpoint.responder->answer(tools(), batch_->base(), received);
  if (deliver) {
    for (const Incoming& datagram : received) {
      if (!target.chunks.empty()) {
        deliver_chunk(endpoint, datagram, target.chunks[&datagram - received.data()]);
      } else if (target.in_place) {
        deliver_in_place(endpoint, datagram);
      } else {
        this->deliver(endpoint, datagram);
      }
    }
  }
  batch_->recycle(count);
  if (count == wanted && most == RxBatch::kSlots) round_.filled = true;
  if (endpoint.family == kLocal) round_.short_queue = true;
  if (target.in_place && large) round_.large = true;
  return count < wanted ? Outcome::drained : Outcome::more;
}

// Of large datagrams few, at places where they can stay. What is left between those that take less than half
// of theirs is not for others: a ring in which something waits takes more of them packed.
RxTurn::Target RxTurn::target_for(const Endpoint& endpoint, uint32_t wanted) {
  uint32_t most = std::min(wanted, std::max(kPlacesMin, kBytesAtOnce / endpoint.mean_bytes));
  if (endpoint.mean_bytes >= kHugeBytes && chunks_ != nullptr) {
    std::span<const Chunks::Free> chunks = chunks_->find_free(endpoint.id, most, ring_.consumed());
    if (!chunks.empty()) return {batch_->slots_at(chunks), chunks, true};
  }
  if (endpoint.mean_bytes < kHugeBytes) {
    uint32_t sparse_bytes = ring_.arena_bytes() / kSparsePart;
    // The event loop reads what it has received itself before it is busy with anything else.
    if (!ring_.holds_at_most(chunks_ != nullptr ? sparse_bytes : 0)) return {batch_->slots(wanted)};
    most = std::min(most, sparse_bytes / RxBatch::kStride);
  }
  RxRing::Places places = ring_.places(most, RxBatch::kStride);
  if (places.count == 0) return {batch_->slots(wanted)};
  return {batch_->slots(places.count, ring_.arena() + places.offset), {}, true};
}

void RxTurn::discard(Endpoint& endpoint) {
  int fd = endpoint.fd.get();
  // What waits in a local socket is charged to who has sent it (unix_dgram_sendmsg).
  bool waits = endpoint.kernel_drops.refresh(fd, endpoint.counters) || endpoint.family == kLocal;
  if (!waits || endpoint.held_elsewhere.load()) return;  // where others have the socket too, it is theirs
  if (discard_batch(endpoint) == 0) return;
  // Or a flood would not end; from here on the kernel counts it. Where the filter is locked, the buffer takes
  // next to nothing from here on.
  // A local socket's would outlive it: connected peers' datagrams are swallowed by it before anybody looks
  // whether the socket has gone (unix_dgram_sendmsg).
  bool stopped = (endpoint.family == kLocal ? shutdown(fd, SHUT_RD) : stop_arrivals(fd)) == 0;
  if (!stopped) set_option(fd, endpoint.family, SocketOption::receive_buffer_bytes, 1);
  for (uint32_t rounds = 0; stopped || rounds < kLockedRounds; rounds++) {
    if (discard_batch(endpoint) == 0) break;
  }
  take_round();  // it says nothing of the traffic
  endpoint.kernel_drops.refresh(fd, endpoint.counters);
}

uint32_t RxTurn::discard_batch(Endpoint& endpoint) {
  batch_ = &batch_of(endpoint);
  int got = engine_.receive(endpoint.fd.get(), batch_->slots(RxBatch::kSlots));
  // An error that waits before the datagrams, once: receiving takes it away.
  if (got < 0 && answers_earlier_datagram(-got)) {
    got = engine_.receive(endpoint.fd.get(), batch_->slots(RxBatch::kSlots));
  }
  if (got <= 0) return 0;
  uint64_t before = endpoint.counters.get(Counter::rx_datagrams);
  decode(endpoint, static_cast<uint32_t>(got));
  batch_->recycle(static_cast<uint32_t>(got));
  uint64_t datagrams = endpoint.counters.get(Counter::rx_datagrams) - before;
  endpoint.counters.add(Counter::rx_close_drops, datagrams);
  return static_cast<uint32_t>(datagrams);
}

RxTurn::Outcome RxTurn::after_failure(Endpoint& endpoint, int error, bool told) {
  Action action = on_receive_error(-error);
  if (action == Action::retry) return Outcome::more;
  if (action == Action::wait && !told) return Outcome::drained;
  if (action == Action::wait) {
    endpoint.kernel_drops.idle(endpoint.fd.get(), endpoint.family, endpoint.counters);
  } else {
    report(endpoint, error);
  }
  if (action == Action::stop) return Outcome::dead;
  // What the network says is said once.
  if (!answers_earlier_datagram(-error) && ++endpoint.futile_turns >= kFutileTurns) {
    drop_errors(endpoint.fd.get());
    return Outcome::futile;
  }
  return action == Action::wait ? Outcome::drained : Outcome::more;
}

void RxTurn::note_traffic(Endpoint& endpoint, uint32_t count) {
  endpoint.batches = count > 1 ? kBusyAfterBatches : endpoint.batches + 1;
  if (endpoint.batches < kBusyAfterBatches) return;
  // Where the kernel lacks them we do without.
  set_option(endpoint.fd.get(), endpoint.family, SocketOption::report_kernel_drops, 1);
  if (endpoint.gro && endpoint.filter.may_join())
    set_option(endpoint.fd.get(), endpoint.family, SocketOption::gro, 1);
}

uint32_t RxTurn::room_for(const Endpoint& endpoint) {
  return ring_.yields(endpoint.id) ? 0 : room_for_messages(endpoint);
}

uint32_t RxTurn::room_for_messages(const Endpoint& endpoint) {
  uint32_t messages = ring_.room(RxBatch::kSlots, kDatagramBytesMax);
  if (endpoint.keep_bytes_max >= kDatagramBytesMax) return messages;
  // Cut, each datagram of a super-datagram is a record of its own.
  return std::min(messages, ring_.room(RxBatch::kSlots * kGroSegmentsMax, 1) / kGroSegmentsMax);
}

Address RxTurn::source_of(Endpoint& endpoint, uint32_t slot, PacketInfo* info) {
  if (endpoint.family != kLocal) return from_sockaddr(batch_->name(slot));
  const msghdr& header = batch_->message(slot).header;
  uint32_t rights = endpoint.local->receive_rights(header, info != nullptr, endpoint.counters);
  if (info != nullptr) info->ifindex = rights;
  return from_name(kLocal, batch_->name(slot), header.msg_namelen);
}

// From the kernel's messages to incoming_, and into the counters. Returns how many bytes.
uint32_t RxTurn::decode(Endpoint& endpoint, uint32_t count) {
  uint64_t datagrams = 0, joined = 0, joined_segments = 0;
  uint32_t bytes = 0;  // of 64 messages at most
  uint64_t now_ns = endpoint.latency ? clock_ns(CLOCK_REALTIME) : 0;
  for (uint32_t i = 0; i < count; i++) {
    const Message& message = batch_->message(i);
    RxControl control;
    PacketInfo* info = endpoint.wants_packet_info ? &packet_infos()[i] : nullptr;
    if (message.header.msg_controllen > 0 || info != nullptr) control = decode_control(message.header, info);
    if (info != nullptr && endpoint.family == 6) map_ipv4(info);
    uint16_t segment_size = control.segment_size < message.length ? control.segment_size : 0;
    // Made in its place: to copy what was just written in pieces is a store-forwarding stall.
    new (&incoming_[i]) Incoming{RxBatch::offset(i),           message.length, segment_size,
                                 source_of(endpoint, i, info), control,        info};

    uint32_t segments = segments_of(message.length, segment_size);
    datagrams += segments;
    bytes += message.length;
    if (segments > 1) joined++, joined_segments += segments;
    if (now_ns != 0 && control.received_ns != 0)
      endpoint.latency.record(control.received_ns, now_ns, segments);
    if (control.kernel_drops) endpoint.kernel_drops.reported(*control.kernel_drops, endpoint.counters);
  }
  const Counters& counters = endpoint.counters;
  counters.add(Counter::rx_batches, 1);
  counters.add(Counter::rx_datagrams, datagrams);
  round_.datagrams += static_cast<uint32_t>(datagrams);
  counters.add(Counter::rx_bytes, bytes);
  bool whole = endpoint.keep_bytes_max >= kDatagramBytesMax;
  endpoint.mean_bytes = whole && count > 0 ? bytes / count : 0;
  if (joined > 0) {
    counters.add(Counter::rx_gro_batches, joined);
    counters.add(Counter::rx_gro_segments, joined_segments);
  }
  return bytes;
}

PacketInfo* RxTurn::packet_infos() {
  if (!packet_infos_) packet_infos_ = std::make_unique<PacketInfo[]>(RxBatch::kSlots);
  return packet_infos_.get();
}

void RxTurn::deliver(Endpoint& endpoint, const Incoming& datagram) {
  uint32_t each = datagram.segment_size != 0 ? datagram.segment_size : datagram.length;
  if (each <= endpoint.keep_bytes_max) {
    put(endpoint, datagram, 0, datagram.length, datagram.segment_size);
    return;
  }
  for (uint32_t at = 0; at < datagram.length; at += each) {  // cut: each datagram is a record of its own
    put(endpoint, datagram, at, std::min(each, datagram.length - at), 0);
  }
}

// The kernel has written it into the ring already.
void RxTurn::deliver_in_place(Endpoint& endpoint, const Incoming& datagram) {
  uint32_t at = static_cast<uint32_t>(batch_->base() - ring_.arena()) + datagram.offset;
  describe(endpoint, datagram, ring_.push_at(at, datagram.length), datagram.length, datagram.segment_size);
}

// The kernel has written it into a chunk, which a Buffer may keep: not for less than a large one.
void RxTurn::deliver_chunk(Endpoint& endpoint, const Incoming& datagram, const Chunks::Free& chunk) {
  Descriptor* record =
      ring_.room(1, std::max(datagram.length, 1u)) > 0 ? ring_.push(datagram.length) : nullptr;
  if (record == nullptr) {
    endpoint.counters.add(Counter::rx_ring_drops, segments_of(datagram.length, datagram.segment_size));
    return;
  }
  describe(endpoint, datagram, record, datagram.length, datagram.segment_size);
  if (datagram.length < kLargeBytes) {
    std::memcpy(ring_.payload(*record), chunk.memory, datagram.length);
    return;
  }
  record->flags |= static_cast<uint16_t>(kInChunk | chunk.place << kChunkShift);
  chunks_->hold(chunk.place, ring_.latest());
}

// `length` bytes of the datagram from `offset` on.
void RxTurn::put(Endpoint& endpoint, const Incoming& datagram, uint32_t offset, uint32_t length,
                 uint16_t segment_size) {
  uint32_t kept = segment_size != 0 ? length : std::min(length, endpoint.keep_bytes_max);
  Descriptor* record = !yields_ && ring_.room(1, std::max(kept, 1u)) > 0 ? ring_.push(kept) : nullptr;
  if (record == nullptr) {
    endpoint.counters.add(Counter::rx_ring_drops, segments_of(length, segment_size));
    if (endpoint.local && endpoint.local->wants_rights && datagram.packet_info != nullptr)
      endpoint.local->take_rights(datagram.packet_info->ifindex);
    return;
  }
  std::memcpy(ring_.payload(*record), batch_->base() + datagram.offset + offset, kept);
  describe(endpoint, datagram, record, length, segment_size);
}

// Fills in a record of `length` bytes on the wire.
void RxTurn::describe(Endpoint& endpoint, const Incoming& datagram, Descriptor* record, uint32_t length,
                      uint16_t segment_size) {
  PeerTable::Found peer = peers_.intern(datagram.from);
  bool truncated = record->length < length;
  record->socket_id = endpoint.id;
  record->kind = DescriptorKind::datagram;
  record->segment_size = segment_size;
  const PacketInfo* info = endpoint.packet_infos != nullptr ? datagram.packet_info : nullptr;
  record->flags =
      static_cast<uint16_t>((truncated ? kTruncated : 0) | (info != nullptr ? kHasPacketInfo : 0));
  record->size = length;
  record->peer_id = peer.id;
  write_address(datagram.from, record);
  write_metadata(datagram.metadata, record);
  if (info != nullptr) endpoint.packet_infos[ring_.slot_of(*record)] = *info;
  if (truncated) endpoint.counters.add(Counter::rx_truncated, 1);
  if (peer.evicted) thread_counters_.add(Counter::peer_evictions, 1);
}

void RxTurn::report(Endpoint& endpoint, int error) {
  endpoint.counters.add(Counter::rx_errors, 1);
  Descriptor* record = ring_.room(1, 1) > 0 ? ring_.push(0) : nullptr;
  if (record == nullptr) return;  // counted all the same
  record->socket_id = endpoint.id;
  record->kind = DescriptorKind::error;
  record->flags = 0;
  record->result = error;
}

}  // namespace ksocket
