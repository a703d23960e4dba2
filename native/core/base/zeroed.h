// Tables of a fixed size that begin as zeroes. calloc(3) has large ones from the kernel, where a page costs
// memory, and the time to clear it, once it is touched; an ordinary std::vector writes them all.
#pragma once

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
    void* memory = std::calloc(count, sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }

  void construct(T*) {}
  template <typename... From>
  void construct(T* at, From&&... from) {
    new (at) T(std::forward<From>(from)...);
  }
  bool operator==(const ZeroedMemory&) const { return true; }
};

template <typename T>
using Zeroed = std::vector<T, ZeroedMemory<T>>;

}  // namespace ksocket
