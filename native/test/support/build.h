// What this build is instrumented with: the sanitizers make some tests many times slower.
#pragma once

namespace ksocket::test {

#ifdef __SANITIZE_THREAD__
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace ksocket::test
