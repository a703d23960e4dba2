#pragma once

#include <cstdint>

namespace ksocket {

// What a turn of receiving brought. `filled`: the kernel filled all that it was offered, so it has more.
struct RxRound {
  uint32_t datagrams = 0;
  bool filled = false;
};

}  // namespace ksocket
