// Included before everything else in the addon for the stepping tests: the ring of core/memory/rx_ring.h, whose every
// access to what both sides touch is a step of its own.
#pragma once

#define RxRing RxRingOfTheProduct
#include "core/memory/rx_ring.h"
#undef RxRing

namespace ksocket {

namespace stepping {

// Between two steps. The I/O thread, which is a fiber here, stands still until it is resumed; on JavaScript's own
// stack nothing happens.
void point();

template <typename T>
class SteppedRef {
 public:
  explicit SteppedRef(T& word) : word_(word) {}
  T load(std::memory_order order) const { return point(), word_.load(order); }
  void store(T value, std::memory_order order) const { point(), word_.store(value, order); }
  T exchange(T value, std::memory_order order) const { return point(), word_.exchange(value, order); }

 private:
  std::atomic_ref<T> word_;
};

}  // namespace stepping

using RxRing = RxRingOn<stepping::SteppedRef>;

}  // namespace ksocket
