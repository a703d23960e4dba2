// System calls refused as an old kernel or a sandbox refuses them, for tests of the fallbacks.
#pragma once

#include <span>

namespace ksocket::test {

// From here on each of these system calls fails with `error` in this thread, in the threads it starts and in
// whatever it executes; there is no way back. 0 or -errno.
int refuse_system_calls(std::span<const int> numbers, int error);

}  // namespace ksocket::test
