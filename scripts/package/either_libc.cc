// What glibc has and musl has not, or either has otherwise, so that one binary serves both. It is linked for
// glibc, and then neither names a library nor versions of symbols (unbind.mjs); what is left to the two has
// one binary interface: that of Linux, or of POSIX.
//
// Hidden (native/exports.map): only this binary sees them.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

// clang-format off
extern "C" {
// CMSG_NXTHDR, cmsg(3). glibc's header has it inline, too.
cmsghdr* next_message(msghdr* header, cmsghdr* message) noexcept __asm__("__cmsg_nxthdr");
cmsghdr* next_message(msghdr* header, cmsghdr* message) noexcept {
  auto aligned = [](size_t bytes) { return (bytes + sizeof(size_t) - 1) & ~(sizeof(size_t) - 1); };
  if (message->cmsg_len < sizeof(cmsghdr)) return nullptr;
  auto* end = static_cast<unsigned char*>(header->msg_control) + header->msg_controllen;
  size_t left = static_cast<size_t>(end - reinterpret_cast<unsigned char*>(message));
  if (aligned(message->cmsg_len) + sizeof(cmsghdr) > left) return nullptr;
  auto* next = reinterpret_cast<cmsghdr*>(reinterpret_cast<unsigned char*>(message) + aligned(message->cmsg_len));
  return next->cmsg_len > left - aligned(message->cmsg_len) ? nullptr : next;
}

// CPU_ALLOC, CPU_SET(3).
cpu_set_t* __sched_cpualloc(size_t count) noexcept { return static_cast<cpu_set_t*>(calloc(1, CPU_ALLOC_SIZE(count))); }
void __sched_cpufree(cpu_set_t* set) noexcept { free(set); }

// stat(2): glibc 2.33 and musl have these functions by their own names, older ones of glibc not.
int __fxstat(int, int fd, struct stat* status) noexcept { return static_cast<int>(syscall(SYS_fstat, fd, status)); }
int __lxstat(int, const char* path, struct stat* status) noexcept {
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW));
}

// The GNU kind, strerror(3): of libc++, for what nobody here asks.
char* strerror_r(int error, char* buffer, size_t size) noexcept {
  snprintf(buffer, size, "error %d", error);
  return buffer;
}

// Without a version glibc for x64 takes those of 1999, which have another pthread_cond_t.
#define KSOCKET_NEWEST(name, parameters, ...)                                   \
  int name parameters noexcept(noexcept(name(__VA_ARGS__))) {                   \
    return reinterpret_cast<int(*) parameters>(dlsym(RTLD_DEFAULT, #name))(__VA_ARGS__); \
  }
KSOCKET_NEWEST(pthread_cond_wait, (pthread_cond_t* condition, pthread_mutex_t* mutex), condition, mutex)
KSOCKET_NEWEST(pthread_cond_broadcast, (pthread_cond_t* condition), condition)
KSOCKET_NEWEST(pthread_cond_destroy, (pthread_cond_t* condition), condition)

// Of at_quick_exit(3), which nobody calls.
int __cxa_at_quick_exit(void (*)(void*), void*) noexcept { return -1; }
}
// clang-format on
