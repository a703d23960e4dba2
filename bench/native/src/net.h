#pragma once

#include <netinet/in.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace loadgen {

// Owns a file descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& what);  // throws std::system_error with errno

// Where a socket binds, and where the other one is: 127.0.0.1, or the ends of a cable (harness/cable.mjs).
std::string own_host();
std::string other_host();

sockaddr_in address_of(const std::string& host, uint16_t port);

Fd udp_socket();
uint16_t bind_to(const Fd& fd, const std::string& host, uint16_t port);  // → the port that it got
void connect_to(const Fd& fd, const sockaddr_in& peer);
void set_option(const Fd& fd, int level, int name, int value, const char* what);

// Ten thousand sockets do not fit into the usual soft limit.
void raise_open_files_limit();

}  // namespace loadgen
