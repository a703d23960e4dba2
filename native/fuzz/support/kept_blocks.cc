// Large blocks are kept for the next input that wants one of that size: AddressSanitizer's allocator would
// map each anew, with system calls. Between two uses a block is poisoned, as one that was freed.
#include <sanitizer/asan_interface.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

constexpr size_t kLarge = 64 << 10;

struct Block {
  void* memory;
  size_t size;
  bool in_use;
};
Block blocks[32];

void* take(size_t size) {
  for (Block& block : blocks) {
    if (block.memory == nullptr) block = {std::malloc(size), size, false};
    if (block.size != size || block.in_use) continue;
    block.in_use = true;
    ASAN_UNPOISON_MEMORY_REGION(block.memory, size);
    return block.memory;
  }
  return std::malloc(size);
}

}  // namespace

void* operator new(size_t size) {
  void* out = size >= kLarge ? take(size) : std::malloc(size);
  if (out == nullptr) throw std::bad_alloc();
  return out;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size);
}

void operator delete(void* memory) noexcept {
  for (Block& block : blocks) {
    if (memory == nullptr || block.memory != memory) continue;
    block.in_use = false;
    ASAN_POISON_MEMORY_REGION(memory, block.size);
    return;
  }
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  operator delete(memory);
}
