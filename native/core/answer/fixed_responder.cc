#include "core/answer/fixed_responder.h"

#include <algorithm>

namespace ksocket {

FixedResponder::FixedResponder(Options options, int source_fd, uint32_t keep_bytes_max, bool offloads,
                               Counters counters)
    : options_(std::move(options)),
      keep_bytes_max_(keep_bytes_max),
      answers_(options_.target ? options_.target.get() : source_fd, options_.family, offloads, options_.loops,
               counters) {}

void FixedResponder::echo(const Incoming& datagram, const Address* to) {
  const PacketInfo* asked = to != nullptr ? datagram.packet_info : nullptr;
  uint32_t each = datagram.segment_size != 0 ? datagram.segment_size : datagram.length;
  if (each <= keep_bytes_max_) {
    answers_.add(to, datagram.offset, datagram.length, datagram.segment_size, asked);
    return;
  }
  for_each_datagram(datagram, [&](uint32_t offset, uint32_t length) {
    answers_.add(to, offset, std::min(length, keep_bytes_max_), 0, asked);
  });
}

std::span<const Incoming> FixedResponder::answer(const ResponderTools& tools, const uint8_t* base,
                                                 std::span<const Incoming> batch) {
  LoopGuard::Kind kind = options_.target               ? LoopGuard::Kind::elsewhere
                         : options_.kind == Kind::echo ? LoopGuard::Kind::echo
                                                       : LoopGuard::Kind::reply;
  for (const Incoming& datagram : batch) {
    const Address* to = options_.target ? nullptr : &datagram.from;
    const PacketInfo* asked = options_.target ? nullptr : datagram.packet_info;
    uint32_t count = segments_of(datagram.length, datagram.segment_size);
    if (!answers_.admits(datagram.from,
                         {base + datagram.offset, first_length(datagram.length, datagram.segment_size)},
                         count, kind))
      continue;
    if (options_.kind == Kind::echo) {
      echo(datagram, to);
      continue;
    }
    uint32_t bytes = static_cast<uint32_t>(options_.reply.size());
    for_each_datagram(datagram, [&](uint32_t, uint32_t) { answers_.add(to, 0, bytes, 0, asked); });
  }
  answers_.flush(tools, options_.kind == Kind::echo ? base : options_.reply.data());
  return batch;
}

}  // namespace ksocket
