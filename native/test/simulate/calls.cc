// The system's functions that the core calls, as the linker hands them over (--wrap, CMakeLists.txt): those
// of the simulated world while one runs, else the real ones.
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#include <chrono>
#include <cstring>

#include "core/base/kernel_names.h"
#include "core/endpoint/rx_turn.h"
#include "simulate/kernel.h"
#include "simulate/world.h"

using ksocket::Address;
using ksocket::from_sockaddr;
using ksocket::SockAddr;
using ksocket::to_sockaddr;
using ksocket::simulate::Kernel;
using ksocket::simulate::PollSet;
using ksocket::simulate::Socket;
using ksocket::simulate::World;

namespace {

// What a system call returns: -1 and errno.
int answer(int result) {
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

// The socket, if it is of the world that runs.
Socket* simulated(int fd) {
  World* world = World::current();
  return world != nullptr && world->kernel->owns(fd) ? world->kernel->find(fd) : nullptr;
}

// As simulated(), where the other thread may go on first.
Socket* called(int fd) {
  if (simulated(fd) != nullptr) World::current()->may_switch();
  return simulated(fd);
}

}  // namespace

// NOLINTBEGIN: names are the linker's
#define REAL(result, name, ...)      \
  result __real_##name(__VA_ARGS__); \
  result __wrap_##name(__VA_ARGS__)

extern "C" {

// ---- time

REAL(int, clock_gettime, clockid_t clock, timespec* out) {
  World* world = World::current();
  if (world == nullptr) return __real_clock_gettime(clock, out);
  world->pass(50);
  uint64_t ns = clock == CLOCK_REALTIME ? world->realtime_ns() : world->now_ns();
  *out = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  return 0;
}

REAL(int, nanosleep, const timespec* time, timespec* left) {
  World* world = World::current();
  if (world == nullptr) return __real_nanosleep(time, left);
  world->sleep(static_cast<uint64_t>(time->tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time->tv_nsec));
  return 0;
}

std::chrono::steady_clock::time_point __real__ZNSt6chrono3_V212steady_clock3nowEv();
std::chrono::steady_clock::time_point __wrap__ZNSt6chrono3_V212steady_clock3nowEv() {
  World* world = World::current();
  if (world == nullptr) return __real__ZNSt6chrono3_V212steady_clock3nowEv();
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(world->now_ns()));
}

REAL(int, timerfd_create, int clock, int flags) {
  World* world = World::current();
  if (world == nullptr) return __real_timerfd_create(clock, flags);
  return answer(world->kernel->open(Socket::Kind::timer));
}

REAL(int, timerfd_settime, int fd, int flags, const itimerspec* value, itimerspec* old) {
  if (called(fd) == nullptr) return __real_timerfd_settime(fd, flags, value, old);
  World& world = *World::current();
  if (world.kernel->errs()) return answer(-EINVAL);
  world.kernel->set_timer(fd, world.now_ns() + static_cast<uint64_t>(value->it_value.tv_nsec));
  return 0;
}

// Of timers only.
REAL(ssize_t, read, int fd, void* to, size_t bytes) {
  Socket* socket = called(fd);
  if (socket == nullptr) return __real_read(fd, to, bytes);
  socket->due_ns = UINT64_MAX;
  return static_cast<ssize_t>(bytes);
}

// ---- threads

REAL(int, pthread_create, pthread_t* thread, const pthread_attr_t* attributes, void* (*entry)(void*),
     void* argument) {
  World* world = World::current();
  if (world == nullptr) return __real_pthread_create(thread, attributes, entry, argument);
  world->start_io(entry, argument);
  return 0;
}

REAL(int, pthread_join, pthread_t thread, void** result) {
  World* world = World::current();
  if (world == nullptr) return __real_pthread_join(thread, result);
  world->join_io();
  return 0;
}

REAL(int, pthread_mutex_lock, pthread_mutex_t* mutex) {
  World* world = World::current();
  if (world == nullptr) return __real_pthread_mutex_lock(mutex);
  world->may_switch();
  while (pthread_mutex_trylock(mutex) != 0) world->give_way();
  return 0;
}

REAL(int, sched_yield, void) {
  World* world = World::current();
  if (world == nullptr) return __real_sched_yield();
  world->give_way();
  return 0;
}

REAL(int, pthread_setname_np, pthread_t thread, const char* name) {
  return World::current() != nullptr ? 0 : __real_pthread_setname_np(thread, name);
}

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...) {
  if (World::current() != nullptr) return 0;
  va_list arguments;
  va_start(arguments, option);
  unsigned long value = va_arg(arguments, unsigned long);
  va_end(arguments);
  return __real_prctl(option, value);
}

REAL(ssize_t, getrandom, void* to, size_t bytes, unsigned flags) {
  if (World::current() == nullptr) return __real_getrandom(to, bytes, flags);
  std::memset(to, 0x5a, bytes);
  return static_cast<ssize_t>(bytes);
}

REAL(int, getrlimit, __rlimit_resource_t resource, rlimit* out) {
  if (World::current() == nullptr) return __real_getrlimit(resource, out);
  out->rlim_cur = out->rlim_max = 1 << 20;
  return 0;
}

// Not the system's: what IoThread::pause() asks once it has said that it waits, while the reader may be
// giving something back.
uint32_t __real__ZN7ksocket6RxTurn8room_forERKNS_8EndpointE(ksocket::RxTurn*, const ksocket::Endpoint&);
uint32_t __wrap__ZN7ksocket6RxTurn8room_forERKNS_8EndpointE(ksocket::RxTurn* turn,
                                                            const ksocket::Endpoint& endpoint) {
  if (World* world = World::current()) world->may_switch(4);
  return __real__ZN7ksocket6RxTurn8room_forERKNS_8EndpointE(turn, endpoint);
}

// ---- descriptors

REAL(int, close, int fd) {
  World* world = World::current();
  if (world == nullptr || !world->kernel->owns(fd)) return __real_close(fd);
  return answer(world->kernel->close(fd));
}

REAL(int, socket, int domain, int type, int protocol) {
  World* world = World::current();
  if (world == nullptr) return __real_socket(domain, type, protocol);
  if (world->kernel->errs()) return answer(-ENOBUFS);
  return answer(world->kernel->open(Socket::Kind::udp, domain == AF_INET6 ? 6 : 4));
}

REAL(int, connect, int fd, const sockaddr* to, socklen_t length) {
  Socket* socket = called(fd);
  if (socket == nullptr) return __real_connect(fd, to, length);
  if (World::current()->kernel->errs()) return answer(-EAGAIN);
  socket->peer = to->sa_family == AF_UNSPEC ? Address{} : from_sockaddr(to);
  return 0;
}

REAL(int, getsockname, int fd, sockaddr* out, socklen_t* length) {
  Socket* socket = called(fd);
  if (socket == nullptr) return __real_getsockname(fd, out, length);
  SockAddr name = to_sockaddr(socket->name);
  std::memcpy(out, &name.any, name.length);
  *length = name.length;
  return 0;
}

REAL(int, getsockopt, int fd, int level, int option, void* value, socklen_t* length) {
  Socket* socket = called(fd);
  if (socket == nullptr) return __real_getsockopt(fd, level, option, value, length);
  if (!World::current()->kernel->says_memory) return answer(-ENOPROTOOPT);
  auto* info = static_cast<uint32_t*>(value);
  std::memset(info, 0, *length);
  info[SK_MEMINFO_RMEM_ALLOC] = static_cast<uint32_t>(socket->queue.size()) * 768;
  info[SK_MEMINFO_DROPS] = socket->drops;
  return 0;
}

REAL(int, setsockopt, int fd, int level, int option, const void* value, socklen_t length) {
  Socket* socket = called(fd);
  if (socket == nullptr) return __real_setsockopt(fd, level, option, value, length);
  if (World::current()->kernel->errs()) return answer(-ENOPROTOOPT);
  if (level == SOL_SOCKET && option == SO_ATTACH_FILTER) return socket->refuses_all = true, 0;
  int number = 0;
  std::memcpy(&number, value, sizeof number);
  if (level == SOL_SOCKET && option == SO_RXQ_OVFL) socket->reports_drops = number != 0;
  if (level == SOL_SOCKET && option == SO_TIMESTAMPNS) socket->tells_time = number != 0;
  if (level == SOL_SOCKET && option == SO_RCVBUF) socket->queue_max = 256;
  if (level == IPPROTO_UDP && option == UDP_GRO) socket->gro = number != 0;
  if (level == IPPROTO_IP && option == IP_RECVTTL) socket->tells_ttl = number != 0;
  return 0;
}

// SIOCOUTQ only.
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* out = va_arg(arguments, void*);
  va_end(arguments);
  Socket* socket = called(fd);
  if (socket == nullptr) return __real_ioctl(fd, request, out);
  if (World::current()->kernel->errs()) return answer(-EINVAL);
  *static_cast<int*>(out) = static_cast<int>(socket->in_flight);
  return 0;
}

// MSG_ERRQUEUE only.
REAL(ssize_t, recv, int fd, void* to, size_t bytes, int flags) {
  Socket* socket = called(fd);
  if (socket == nullptr) return __real_recv(fd, to, bytes, flags);
  if (socket->error_queue == 0) return answer(-EAGAIN);
  socket->error_queue--;
  return 0;
}

// Of the event loop's instance: engines have calls of their own.
REAL(int, epoll_ctl, int instance, int operation, int fd, epoll_event* event) {
  if (simulated(instance) == nullptr) return __real_epoll_ctl(instance, operation, fd, event);
  World& world = *World::current();
  world.may_switch();
  Kernel& kernel = *world.kernel;
  PollSet& set = kernel.loop_set();
  world.trace("%s the loop: %d", operation == EPOLL_CTL_DEL ? "leaves" : "enters", fd);
  if (kernel.find(fd) == nullptr) return answer(-EBADF);
  if (operation == EPOLL_CTL_DEL) {
    if (!set.has(fd)) return answer(-ENOENT);
    kernel.unwatch(set, fd);
    return 0;
  }
  if (set.has(fd)) return answer(-EEXIST);
  if (kernel.errs()) return answer(-ENOSPC);
  kernel.watch(set, fd,
               {static_cast<uint64_t>(event->data.fd), ksocket::simulate::kIn,
                (event->events & EPOLLEXCLUSIVE) != 0, false, false});
  return 0;
}

}  // extern "C"
// NOLINTEND
