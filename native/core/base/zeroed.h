// Tables of a fixed size that begin as zeroes. Large ones are the kernel's pages, which cost memory, and the
// time to clear them, once they are touched. An ordinary std::vector writes them all; calloc(3) does where a
// program has freed so large a piece before (M_MMAP_THRESHOLD in mallopt(3)).
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace ksocket {

// All zeroes has to be what a new T is: those of `std::vector(count)` are not constructed. (Nor are those of
// resize(), which may find other bytes than zeroes.)
template <typename T>
struct ZeroedMemory {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  using value_type = T;

  T* allocate(size_t count) {
    void* memory = is_large(count) ? pages(count * sizeof(T)) : std::calloc(count, sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t count) {
    if (is_large(count)) {
      munmap(memory, count * sizeof(T));
    } else {
      std::free(memory);
    }
  }

  void construct(T*) {}
  template <typename... From>
  void construct(T* at, From&&... from) {
    new (at) T(std::forward<From>(from)...);
  }
  bool operator==(const ZeroedMemory&) const { return true; }

 private:
  static constexpr size_t kLargeBytes = 64 * 1024;
  static bool is_large(size_t count) { return count >= kLargeBytes / sizeof(T); }
  static void* pages(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
  }
};

template <typename T>
using Zeroed = std::vector<T, ZeroedMemory<T>>;

}  // namespace ksocket
