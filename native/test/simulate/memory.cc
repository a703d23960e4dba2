#include "simulate/memory.h"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace {

uint64_t live = 0;

void* take(size_t bytes) {
  void* out = std::malloc(bytes > 0 ? bytes : 1);
  if (out == nullptr) throw std::bad_alloc();
  live += malloc_usable_size(out);
  return out;
}
void* take(size_t bytes, std::align_val_t alignment) {
  void* out =
      std::aligned_alloc(static_cast<size_t>(alignment), (bytes + static_cast<size_t>(alignment) - 1) &
                                                             ~(static_cast<size_t>(alignment) - 1));
  if (out == nullptr) throw std::bad_alloc();
  live += malloc_usable_size(out);
  return out;
}
void give(void* memory) {
  if (memory != nullptr) live -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

namespace ksocket::simulate {
uint64_t live_bytes() {
  return live;
}
}  // namespace ksocket::simulate

void* operator new(size_t bytes) {
  return take(bytes);
}
void* operator new[](size_t bytes) {
  return take(bytes);
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return take(bytes, alignment);
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return take(bytes, alignment);
}
void operator delete(void* memory) noexcept {
  give(memory);
}
void operator delete[](void* memory) noexcept {
  give(memory);
}
void operator delete(void* memory, size_t) noexcept {
  give(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  give(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  give(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  give(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  give(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  give(memory);
}
