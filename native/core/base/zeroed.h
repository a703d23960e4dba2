// Tables of a fixed size that begin as zeroes. Large ones are the kernel's pages, which cost memory, and the
// time to clear them, once they are touched. An std::vector writes them all; calloc(3) does where a
// program has freed so large a piece before (M_MMAP_THRESHOLD in mallopt(3)).
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <type_traits>

namespace ksocket {

// All zeroes has to be what a new T is: none is constructed.
template <typename T>
class Zeroed {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  explicit Zeroed(size_t size) : rows_(allocate(size * sizeof(T)), Free{size * sizeof(T)}) {}

  Zeroed(const Zeroed& from) : Zeroed(from.size()) { std::copy_n(from.data(), from.size(), data()); }
  Zeroed(Zeroed&&) = default;

  T* data() { return rows_.get(); }
  const T* data() const { return rows_.get(); }
  size_t size() const { return rows_.get_deleter().bytes / sizeof(T); }
  T& operator[](size_t n) { return rows_.get()[n]; }
  const T& operator[](size_t n) const { return rows_.get()[n]; }

 private:
  static constexpr size_t kLargeBytes = 64 * 1024;

  static T* allocate(size_t bytes) {
    void* memory = bytes < kLargeBytes ? std::calloc(bytes, 1) : pages(bytes);
    if (memory == nullptr) std::abort();  // as the library ends a process that has no memory for `new`
    return static_cast<T*>(memory);
  }
  static void* pages(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
  }
  struct Free {
    void operator()(T* rows) const {
      if (bytes < kLargeBytes) {
        std::free(rows);
      } else {
        munmap(rows, bytes);
      }
    }
    size_t bytes;
  };

  std::unique_ptr<T[], Free> rows_;
};

}  // namespace ksocket
