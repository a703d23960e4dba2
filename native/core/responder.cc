#include "core/responder.h"

#include <algorithm>

namespace ksocket {

Responder::Responder(Options options, int source_fd, uint32_t keep_bytes_max, bool offloads,
                     Counters counters)
    : options_(std::move(options)),
      keep_bytes_max_(keep_bytes_max),
      tx_(options_.target ? options_.target.get() : source_fd, options_.family, counters) {
  tx_.gso.enabled = offloads;
  tx_.retry_refused = true;
}

void Responder::add(const Incoming& datagram, uint32_t offset, uint32_t length, uint16_t segment_size) {
  Descriptor& answer = answers_.emplace_back();
  if (!options_.target) write_address(datagram.from, &answer);
  answer.offset = offset;
  answer.length = length;
  answer.segment_size = segment_size;
}

void Responder::answer(Engine& engine, TxFlush& flush, const uint8_t* base, std::span<const Incoming> batch) {
  answers_.clear();
  for (const Incoming& datagram : batch) {
    uint32_t each = datagram.segment_size != 0 ? datagram.segment_size : datagram.length;
    if (options_.kind == Kind::echo && each <= keep_bytes_max_) {
      add(datagram, datagram.offset, datagram.length, datagram.segment_size);
      continue;
    }
    uint32_t at = 0;
    do {
      uint32_t length = std::min(each, datagram.length - at);
      if (options_.kind == Kind::echo) {
        add(datagram, datagram.offset + at, std::min(length, keep_bytes_max_), 0);
      } else {
        add(datagram, 0, static_cast<uint32_t>(options_.reply.size()), 0);
      }
      at += length;
    } while (at < datagram.length);
  }
  const uint8_t* from = options_.kind == Kind::echo ? base : options_.reply.data();
  bool settled = flush.send(engine, tx_, from, answers_);
  if (settled) return;
  // A full send buffer: an answer that cannot leave now is late; the client will ask again.
  uint64_t dropped = 0;
  for (const Descriptor& answer : answers_) {
    if (answer.result == kResultDeferred) dropped += segments_of(answer.length, answer.segment_size);
  }
  tx_.counters.add_shared(Counter::tx_dropped, dropped);
}

}  // namespace ksocket
