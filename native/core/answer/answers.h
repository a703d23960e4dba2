// The answers of a responder to one batch, on their way out of one socket.
#pragma once

#include <vector>

#include "core/answer/responder.h"

namespace ksocket {

class Answers {
 public:
  Answers(int fd, uint8_t family, bool offloads, Counters counters) : tx_(fd, family, counters) {
    tx_.gso.enabled = offloads;
    tx_.retry_refused = true;
  }

  bool empty() const { return waiting_.empty(); }
  // `to`: null on a connected socket. The payload is at `offset` of the base that flush() is given.
  void add(const Address* to, uint32_t offset, uint32_t length, uint16_t segment_size);
  // Sends them all. What a full send buffer refuses is dropped, and counted: an answer that cannot leave now
  // is late, and the client will ask again.
  void flush(const ResponderTools& tools, const uint8_t* base);

 private:
  TxSocket tx_;
  std::vector<Descriptor> waiting_;
};

}  // namespace ksocket
