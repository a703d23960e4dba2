// A UDP socket's descriptor and the system calls of its life. Every function returns 0 (or what it says) or
// -errno.
#pragma once

#include <unistd.h>

#include <utility>

#include "core/socket/address.h"

namespace ksocket {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

// Non-blocking, close-on-exec.
int open_udp(uint8_t family, Fd* out);
int bind_socket(int fd, const Address& address);
int connect_socket(int fd, const Address& address);
int disconnect_socket(int fd);
// getsockname(2), or getpeername(2).
int socket_name(int fd, bool peer, Address* out);

}  // namespace ksocket
