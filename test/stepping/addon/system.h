#pragma once

namespace ksocket::stepping {

// Wake-ups that the I/O thread has asked for and JavaScript has not had.
int pending_wakes();
// One of them is delivered now. False: there is none.
bool take_wake();

}  // namespace ksocket::stepping
