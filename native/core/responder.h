// Answers datagrams in the I/O thread itself, as the loop of the original kernel thread did: no event loop,
// no JavaScript. A batch comes in, its answers leave with one flush.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/address.h"
#include "core/socket.h"
#include "core/tx_flush.h"

namespace ksocket {

// A received datagram (or super-datagram) that still lies in the receive buffers.
struct Incoming {
  uint32_t offset;  // of the payload, from the batch's base
  uint32_t length;
  uint16_t segment_size;  // 0: a single datagram
  Address from;
};

class Responder {
 public:
  enum class Kind : uint8_t { fixed, echo };

  struct Options {
    Kind kind = Kind::fixed;
    std::vector<uint8_t> reply;  // fixed: what to answer
    Fd target;                   // connected socket for the answers; none: back to each source
    uint8_t family = 4;          // of the socket that the answers leave through
  };

  Responder(Options options, int source_fd, uint32_t keep_bytes_max, bool offloads, Counters counters);

  // `base`: where the payload offsets count from.
  void answer(Engine& engine, TxFlush& flush, const uint8_t* base, std::span<const Incoming> batch);

 private:
  void add(const Incoming& datagram, uint32_t offset, uint32_t length, uint16_t segment_size);

  Options options_;
  uint32_t keep_bytes_max_;
  TxSocket tx_;
  std::vector<Descriptor> answers_;
};

}  // namespace ksocket
