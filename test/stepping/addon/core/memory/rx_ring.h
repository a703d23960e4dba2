// In place of native/core/memory/rx_ring.h: that ring, whose every access to what both sides touch is a step
// of its own.
#pragma once

#define RxRing RxRingOfTheProduct
#include "../../../../../native/core/memory/rx_ring.h"
#undef RxRing

#include "stepped_ref.h"

namespace ksocket {

using RxRing = RxRingOn<stepping::SteppedRef>;

}  // namespace ksocket
