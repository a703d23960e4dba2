#include "core/endpoint/backlog.h"

#include <cerrno>
#include <utility>

namespace ksocket {

uint32_t Backlog::keep(const uint8_t* base, std::span<Descriptor> descriptors, const Counters& counters) {
  uint32_t kept = 0, refused = 0;
  for (Descriptor& descriptor : descriptors) {
    if (descriptor.result != kResultDeferred) continue;
    if (bytes_ + descriptor.length > kBacklogBytesMax) {
      descriptor.result = -ENOBUFS;
      refused++;
      continue;
    }
    Deferred& copy = waiting_.emplace_back();
    copy.descriptor = descriptor;
    copy.descriptor.offset = 0;
    copy.payload.assign(base + descriptor.offset, base + descriptor.offset + descriptor.length);
    bytes_ += descriptor.length + sizeof(Descriptor);
    kept++;
  }
  counters.add_atomic(Counter::tx_deferred, kept);
  if (refused > 0) counters.add_atomic(Counter::tx_dropped, refused);
  return kept;
}

bool Backlog::work_off(Engine& engine, TxFlush& flush, TxSocket& socket, uint32_t socket_id,
                       std::vector<Descriptor>* completions) {
  while (!waiting_.empty()) {
    Deferred& front = waiting_.front();
    size_t cost = front.payload.size() + sizeof(Descriptor);
    front.descriptor.result = 0;
    if (!flush.send(engine, socket, front.payload.data(), std::span(&front.descriptor, 1))) return false;
    Descriptor done = front.descriptor;
    bytes_ -= cost;
    waiting_.pop_front();
    if (done.user_data == 0) continue;  // nobody asked
    done.socket_id = socket_id;
    done.kind = DescriptorKind::sent;
    completions->push_back(done);
  }
  if (!std::exchange(tell_drained_, false)) return true;
  Descriptor& drained = completions->emplace_back();
  drained.socket_id = socket_id;
  drained.kind = DescriptorKind::drained;
  return true;
}

size_t Backlog::clear() {
  size_t count = waiting_.size();
  waiting_.clear();
  bytes_ = 0;
  return count;
}

}  // namespace ksocket
