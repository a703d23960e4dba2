// Answers datagrams in the I/O thread itself, as the loop of the original kernel thread did: no event loop,
// no JavaScript. A batch comes in, its answers leave with one flush.
#pragma once

#include <cstdint>
#include <span>

#include "core/datapath/incoming.h"
#include "core/datapath/rx_batch.h"
#include "core/datapath/rx_round.h"
#include "core/datapath/tx_flush.h"
#include "engine/engine.h"

namespace ksocket {

// What the I/O thread lends to a responder for one call.
struct ResponderTools {
  Engine& engine;
  TxFlush& flush;
  RxBatch& batch;
  RxRound& round;
};

class RuleResponder;
class GuardedResponder;
class Tunnel;

// Called by the I/O thread only, and destroyed when it cannot be called any more.
class Responder {
 public:
  virtual ~Responder() = default;

  // Answers what was received on the endpoint's socket; the payloads' offsets count from `base`. Returns
  // those of it that JavaScript may have; they stay valid until the next call.
  virtual std::span<const Incoming> answer(const ResponderTools& tools, const uint8_t* base,
                                           std::span<const Incoming> batch) = 0;

  // A descriptor that the responder had watched (with responder_token()) is readable.
  virtual void ready(const ResponderTools& tools, uint32_t key) {}

  // Is tick() to be called about once a second? Asked once.
  virtual bool wants_ticks() const { return false; }
  virtual void tick() {}

  // The one that answers by rules, if it is that or stands before it.
  virtual RuleResponder* by_rules() { return nullptr; }
  // The one that stands before all others, if it is that.
  virtual GuardedResponder* guard() { return nullptr; }
  // The one behind which is a network, if it is that.
  virtual Tunnel* tunnel() { return nullptr; }
};

// Tokens of descriptors that belong to a responder: the endpoint's id, and a key of the responder's own.
inline constexpr uint64_t kResponderToken = uint64_t{1} << 63;
inline constexpr uint32_t kResponderKeysMax = UINT32_MAX >> 1;
constexpr uint64_t responder_token(uint32_t endpoint_id, uint32_t key) {
  return kResponderToken | uint64_t{key} << 32 | endpoint_id;
}

}  // namespace ksocket
