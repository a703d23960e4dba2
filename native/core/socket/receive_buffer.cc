#include "core/socket/receive_buffer.h"

#include <sys/socket.h>

#include <algorithm>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

namespace ksocket {

namespace {

// SOCK_RCVBUF_LOCK, linux/socket.h
constexpr int kReceiveBufferLock = 2;

// Which of its buffers' sizes were set by somebody; false where the kernel does not say it (before Linux
// 5.15).
bool get_locks(int fd, int* locks) {
  socklen_t bytes = sizeof *locks;
  return getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, locks, &bytes) == 0;
}

// `set` does not count as a choice.
template <typename Set>
void set_unchosen(int fd, Set&& set) {
  int locks = 0;
  bool known = get_locks(fd, &locks);
  set();
  if (known) setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, sizeof locks);
}

}  // namespace

void resize_receive_buffer(int fd, uint8_t family, int bytes) {
  set_unchosen(fd, [&] { set_option(fd, family, SocketOption::receive_buffer_bytes, bytes); });
}

bool ReceiveBuffer::is_chosen(int fd) {
  int locks = 0;
  if (get_locks(fd, &locks) && (locks & kReceiveBufferLock) != 0) leave();
  return size_ == Size::chosen;
}

void ReceiveBuffer::grow(int fd, uint8_t family, int largest) {
  int present = 0;
  if (is_chosen(fd) || get_option(fd, family, SocketOption::receive_buffer_bytes, &present) != 0) return;
  if (present >= 2 * kBurstBufferBytes) return;  // the kernel doubles what it is told
  int allowed = std::min(kBurstBufferBytes, largest);
  set_unchosen(fd, [&] {
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kBurstBufferBytes, sizeof kBurstBufferBytes) == 0 ||
        (present < 2 * allowed && set_option(fd, family, SocketOption::receive_buffer_bytes, allowed) == 0)) {
      size_ = Size::burst;
    }
  });
}

}  // namespace ksocket
