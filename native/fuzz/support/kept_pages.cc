// Large tables are the kernel's pages (core/base/zeroed.h). Here they are kept for the next input that wants
// as many: the system calls, and a fault for each page that is touched, would cost more than all that is done
// with a table. Between two uses they are poisoned, as what was freed. Linked in front of the C library's
// functions of the same names.
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

namespace {

struct Pages {
  void* memory;
  size_t bytes;
  bool in_use;
};
Pages kept[16];

void* map(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  return reinterpret_cast<void*>(syscall(SYS_mmap, at, bytes, protection, flags, fd, offset));
}

}  // namespace

extern "C" {

void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  bool is_table =
      at == nullptr && protection == (PROT_READ | PROT_WRITE) && flags == (MAP_PRIVATE | MAP_ANONYMOUS);
  for (Pages& each : kept) {
    if (!is_table) break;
    if (each.memory == nullptr) {
      void* memory = map(at, bytes, protection, flags, fd, offset);
      if (memory != MAP_FAILED) each = {memory, bytes, true};
      return memory;
    }
    if (each.bytes != bytes || each.in_use) continue;
    each.in_use = true;
    ASAN_UNPOISON_MEMORY_REGION(each.memory, bytes);
    return std::memset(each.memory, 0, bytes);
  }
  return map(at, bytes, protection, flags, fd, offset);
}

int munmap(void* memory, size_t bytes) noexcept {
  for (Pages& each : kept) {
    if (memory == nullptr || each.memory != memory || each.bytes != bytes) continue;
    each.in_use = false;
    ASAN_POISON_MEMORY_REGION(memory, bytes);
    return 0;
  }
  return static_cast<int>(syscall(SYS_munmap, memory, bytes));
}
}
