#include "fuzz/support/world.h"

#include <dlfcn.h>
#include <ifaddrs.h>
#include <sys/random.h>
#include <sys/types.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>

namespace ksocket::fuzz {

namespace {

bool stands = false;
uint64_t clock_says_ns = 0;

}  // namespace

World::World(uint64_t now_ns) {
  stands = true;
  clock_says_ns = now_ns;
}
World::~World() {
  stands = false;
}
void World::pass(uint64_t duration_ns) {
  clock_says_ns += duration_ns;
}
uint64_t World::now_ns() const {
  return clock_says_ns;
}

namespace {

// The C library's own.
template <typename Function>
Function next(Function, const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

}  // namespace ksocket::fuzz

extern "C" {

using namespace ksocket::fuzz;

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  static decltype(&clock_gettime) real = nullptr;
  // The wall clock stays: libFuzzer's own limits are by it.
  if (stands && clock != CLOCK_REALTIME) {
    *out = {static_cast<time_t>(clock_says_ns / 1'000'000'000),
            static_cast<long>(clock_says_ns % 1'000'000'000)};
    return 0;
  }
  if (real == nullptr) real = next(&clock_gettime, "clock_gettime");
  return real(clock, out);
}

ssize_t getrandom(void* out, size_t bytes, unsigned flags) {
  if (stands) {
    std::memset(out, 0x5a, bytes);
    return static_cast<ssize_t>(bytes);
  }
  return next(&getrandom, "getrandom")(out, bytes, flags);
}

int getifaddrs(ifaddrs** out) noexcept {
  if (!stands) return next(&getifaddrs, "getifaddrs")(out);
  errno = EPERM;
  return -1;
}
}
