#include "core/endpoint/backlog.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <utility>

namespace ksocket {

uint32_t Backlog::keep(const uint8_t* base, std::span<Descriptor> descriptors,
                       std::span<const Source> sources, const Counters& counters, size_t bytes_max) {
  uint32_t kept = 0, refused = 0;
  for (Descriptor& descriptor : descriptors) {
    if (descriptor.result != kResultDeferred) continue;
    uint32_t datagrams = segments_of(descriptor.length, descriptor.segment_size);
    if (bytes_ + descriptor.length > bytes_max) {
      descriptor.result = -ENOBUFS;
      refused += datagrams;
      continue;
    }
    Deferred& copy = waiting_.emplace_back();
    copy.descriptor = descriptor;
    copy.descriptor.offset = 0;
    if ((descriptor.flags & kSaysMore) && descriptor.source != 0 && descriptor.source <= sources.size()) {
      copy.source = std::make_unique<Source>(sources[descriptor.source - 1u]);
    }
    copy.descriptor.source = copy.source ? 1 : 0;
    copy.datagrams = datagrams;
    copy.payload.assign(base + descriptor.offset, base + descriptor.offset + descriptor.length);
    bytes_ += descriptor.length + sizeof(Descriptor);
    datagrams_ += datagrams;
    kept += datagrams;
  }
  counters.add_atomic(Counter::tx_deferred, kept);
  if (refused > 0) counters.add_atomic(Counter::tx_dropped, refused);
  return kept;
}

namespace {

// What the kernel has not sent yet, SIOCOUTQ, udp(7). A socket is writable before it is 0.
int bytes_in_flight(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

}  // namespace

Backlog::Outcome Backlog::work_off(Engine& engine, TxFlush& flush, TxSocket& socket, uint32_t socket_id,
                                   std::vector<Descriptor>* completions) {
  for (bool first = true; !waiting_.empty(); first = false) {
    Deferred& front = waiting_.front();
    front.descriptor.result = 0;
    bool has_room =
        first && bytes_in_flight(socket.fd) == 0;  // before: it may all have left when it is refused
    std::span<const Source> sources(front.source.get(), front.source ? 1 : 0);
    if (!flush.send(engine, socket, front.payload.data(), std::span(&front.descriptor, 1), sources)) {
      uint32_t rest = segments_of(front.descriptor.length, front.descriptor.segment_size);
      uint32_t left = std::exchange(front.datagrams, rest) - rest;
      datagrams_ -= left;
      if (!first || left > 0) return Outcome::blocked;
      if (flush.blocked_by() == EAGAIN || !has_room) return Outcome::stuck;
      // Nothing of ours lies in the send buffer, and still there is no room: its fragments are more than the
      // whole buffer takes (__ip_append_data), and what waits behind it would wait for ever.
      front.descriptor.result = -flush.blocked_by();
      socket.counters.add_atomic(Counter::tx_errors, rest);
    }
    settle_front(socket_id, completions);
  }
  if (!std::exchange(tell_drained_, false)) return Outcome::empty;
  Descriptor& drained = completions->emplace_back();
  drained.socket_id = socket_id;
  drained.kind = DescriptorKind::drained;
  return Outcome::empty;
}

void Backlog::settle_front(uint32_t socket_id, std::vector<Descriptor>* completions) {
  Deferred& front = waiting_.front();
  Descriptor done = front.descriptor;
  bytes_ -= front.payload.size() + sizeof(Descriptor);
  datagrams_ -= front.datagrams;
  waiting_.pop_front();
  if (done.user_data == 0) return;  // nobody asked
  done.socket_id = socket_id;
  done.kind = DescriptorKind::sent;
  completions->push_back(done);
}

size_t Backlog::clear() {
  size_t count = datagrams_;
  waiting_.clear();
  bytes_ = 0;
  datagrams_ = 0;
  return count;
}

}  // namespace ksocket
