#pragma once

#include <cstdint>

namespace ksocket {

// What a turn of receiving brought. `filled`: the kernel filled all that it was offered, so it has more.
// `large`: it was offered few places, for large datagrams. `short_queue`: the kernel itself has few, and
// whoever sends waits for each of them (unix(7)).
struct RxRound {
  uint32_t datagrams = 0;
  bool filled = false;
  bool large = false;
  bool short_queue = false;
  uint32_t forwarded = 0;  // of the datagrams
  uint32_t returned = 0;   // of those, to clients
  uint32_t frames = 0;     // that a tunnel has moved, and super-frames, either way
};

}  // namespace ksocket
