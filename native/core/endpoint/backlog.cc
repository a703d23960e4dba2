#include "core/endpoint/backlog.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <utility>

namespace ksocket {

size_t Backlog::payload_bytes() const {
  size_t descriptors = 0;
  for (const Block& block : waiting_) descriptors += block.descriptors.size();
  return bytes_ - descriptors * sizeof(Descriptor);
}

uint32_t Backlog::keep(const uint8_t* base, std::span<Descriptor> descriptors,
                       std::span<const Source> sources, const Counters& counters, size_t bytes_max) {
  uint32_t kept = 0, refused = 0;
  for (size_t i = 0; i < descriptors.size(); i++) {
    Descriptor& descriptor = descriptors[i];
    if (descriptor.result != kResultDeferred) continue;
    uint32_t datagrams = segments_of(descriptor.length, descriptor.segment_size);
    if (bytes_ + descriptor.length > bytes_max) {
      descriptor.result = -ENOBUFS;
      refused += datagrams;
      continue;
    }
    Block& block = block_for(descriptors.subspan(i));
    Descriptor& copy = block.descriptors.emplace_back(descriptor);
    block.kept.push_back({datagrams, descriptor.length});
    copy.offset = static_cast<uint32_t>(block.payload.size());
    const uint8_t* payload = base + descriptor.offset;
    block.payload.insert(block.payload.end(), payload, payload + descriptor.length);
    copy.source = 0;
    if ((descriptor.flags & kSaysMore) && descriptor.source != 0 && descriptor.source <= sources.size()) {
      block.sources.push_back(sources[descriptor.source - 1u]);
      copy.source = static_cast<uint16_t>(block.sources.size());
    }
    bytes_ += descriptor.length + sizeof(Descriptor);
    datagrams_ += datagrams;
    kept += datagrams;
  }
  counters.add_atomic(Counter::tx_deferred, kept);
  if (refused > 0) counters.add_atomic(Counter::tx_dropped, refused);
  return kept;
}

// For the first of these, and with room for all that will be in it: it is not to grow each time.
Backlog::Block& Backlog::block_for(std::span<const Descriptor> coming) {
  if (!waiting_.empty()) {
    Block& latest = waiting_.back();
    if (latest.descriptors.size() < kBlockDescriptors && latest.sources.size() < kBlockDescriptors &&
        latest.payload.size() + coming[0].length <= kBlockBytes) {
      return latest;
    }
  }
  Block& block = waiting_.emplace_back();
  size_t count = 0, bytes = 0;
  for (const Descriptor& descriptor : coming) {
    if (descriptor.result != kResultDeferred) continue;
    if (count == kBlockDescriptors || (count > 0 && bytes + descriptor.length > kBlockBytes)) break;
    count++;
    bytes += descriptor.length;
  }
  block.descriptors.reserve(count);
  block.kept.reserve(count);
  block.payload.reserve(bytes);
  return block;
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
    Block& block = waiting_.front();
    bool has_room =
        first && bytes_in_flight(socket.fd) == 0;  // before: it may all have left when it is refused
    bool all = flush.send(engine, socket, block.payload.data(), block.descriptors, block.sources);
    bool any = settle(block, socket_id, completions);
    if (!all) {
      if (!first || any) return Outcome::blocked;
      if (flush.blocked_by() == EAGAIN || !has_room) return Outcome::stuck;
      // Nothing of ours lies in the send buffer, and still there is no room: its fragments are more than the
      // whole buffer takes (__ip_append_data), and what waits behind it would wait for ever.
      Descriptor& front = block.descriptors.front();
      front.result = -flush.blocked_by();
      socket.counters.add_atomic(Counter::tx_errors, block.kept.front().datagrams);
      settle(block, socket_id, completions);
    }
    if (block.descriptors.empty()) waiting_.pop_front();
  }
  if (!std::exchange(tell_drained_, false)) return Outcome::empty;
  Descriptor& drained = completions->emplace_back();
  drained.socket_id = socket_id;
  drained.kind = DescriptorKind::drained;
  return Outcome::empty;
}

// After a send of all that is in it. Has anything left, or got its result?
bool Backlog::settle(Block& block, uint32_t socket_id, std::vector<Descriptor>* completions) {
  bool any = false;
  size_t left = 0;
  for (size_t i = 0; i < block.descriptors.size(); i++) {
    const Descriptor& descriptor = block.descriptors[i];
    Kept& kept = block.kept[i];
    if (descriptor.result != kResultDeferred) {
      any = true;
      settle(descriptor, kept, socket_id, completions);
      continue;
    }
    uint32_t rest = segments_of(descriptor.length, descriptor.segment_size);
    uint32_t sent = std::exchange(kept.datagrams, rest) - rest;
    any = any || sent > 0;
    datagrams_ -= sent;
    block.kept[left] = kept;
    block.descriptors[left++] = descriptor;
  }
  block.descriptors.resize(left);
  block.kept.resize(left);
  return any;
}

void Backlog::settle(const Descriptor& done, const Kept& kept, uint32_t socket_id,
                     std::vector<Descriptor>* completions) {
  bytes_ -= kept.bytes + sizeof(Descriptor);
  datagrams_ -= kept.datagrams;
  if (done.user_data == 0) return;  // nobody asked
  Descriptor& record = completions->emplace_back(done);
  record.socket_id = socket_id;
  record.kind = DescriptorKind::sent;
}

size_t Backlog::clear() {
  size_t count = datagrams_;
  waiting_.clear();
  bytes_ = 0;
  datagrams_ = 0;
  return count;
}

}  // namespace ksocket
