#pragma once

#include "bridge/ring_reader.h"

namespace ksocket::stepping {

// Wake-ups that the I/O thread has asked for and JavaScript has not had.
int pending_wakes();
// One of them is delivered now. False: there is none.
bool take_wake();

// What calls JavaScript then; null: there is no I/O thread.
RingReader* reader();

}  // namespace ksocket::stepping
