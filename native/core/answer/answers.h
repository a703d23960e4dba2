// The answers of a responder to one batch, on their way out of one socket.
#pragma once

#include <span>
#include <vector>

#include "core/answer/protection/loop_guard.h"
#include "core/answer/responder.h"

namespace ksocket {

class Answers {
 public:
  // `loops`: null where nobody is answered who asked.
  Answers(int fd, uint8_t family, bool offloads, LoopGuard* loops, Counters counters)
      : tx_(fd, family, counters), loops_(loops) {
    tx_.gso.enabled = offloads;
    tx_.retry_refused = true;
  }

  bool empty() const { return waiting_.empty(); }
  // May `count` answers to what `source` has said leave? To be asked before add().
  bool admits(const Address& source, std::span<const uint8_t> payload, uint32_t count, LoopGuard::Kind kind);
  // `to`: null on a connected socket. The payload is at `offset` of the base that flush() is given. `asked`:
  // of the question, if it is known: the answer comes from the address that was asked.
  void add(const Address* to, uint32_t offset, uint32_t length, uint16_t segment_size,
           const PacketInfo* asked = nullptr);
  // Sends them all. What a full send buffer refuses is dropped, and counted: an answer that cannot leave now
  // is late, and the client will ask again.
  void flush(const ResponderTools& tools, const uint8_t* base);

 private:
  void drop_deferred(const ResponderTools& tools, const uint8_t* base);

  TxSocket tx_;
  LoopGuard* const loops_;
  bool tells_ = false;  // the guard of what leaves
  std::vector<Descriptor> waiting_;
  std::vector<Source> sources_;  // of those
};

}  // namespace ksocket
