#include "net.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace loadgen {

void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::string own_host() {
  const char* given = std::getenv("KSOCKET_BENCH_SELF");
  return given != nullptr ? given : "127.0.0.1";
}

std::string other_host() {
  const char* given = std::getenv("KSOCKET_BENCH_HOST");
  return given != nullptr ? given : "127.0.0.1";
}

sockaddr_in address_of(const std::string& host, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument("not an IPv4 address: " + host);
  }
  // The harness measures this machine; it never sends to another one. It has given the addresses of a cable.
  bool is_loopback = (ntohl(address.sin_addr.s_addr) >> 24) == 127;
  if (!is_loopback && host != own_host() && host != other_host())
    throw std::invalid_argument("not loopback: " + host);
  return address;
}

Fd udp_socket() {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) fail("socket");
  return fd;
}

uint16_t bind_to(const Fd& fd, const std::string& host, uint16_t port) {
  sockaddr_in address = address_of(host, port);
  socklen_t length = sizeof address;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) fail("bind");
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) fail("getsockname");
  return ntohs(address.sin_port);
}

void connect_to(const Fd& fd, const sockaddr_in& peer) {
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) fail("connect");
}

void set_option(const Fd& fd, int level, int name, int value, const char* what) {
  if (setsockopt(fd.get(), level, name, &value, sizeof value) != 0) fail(what);
}

void raise_open_files_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace loadgen
