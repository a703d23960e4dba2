#include "core/endpoint/endpoint_filter.h"

#include <poll.h>

#include <utility>

#include "core/base/fd.h"
#include "core/socket/filter.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

bool joins_now(int fd, uint8_t family) {
  int gro = 0;
  return get_option(fd, family, SocketOption::gro, &gro) == 0 && gro != 0;
}

// Without taking an error away that waits to be reported.
bool is_empty(int fd) {
  pollfd asked{fd, POLLIN, 0};
  return poll(&asked, 1, 0) >= 0 && (asked.revents & POLLIN) == 0;
}

// What the kernel says of the program, while the socket keeps its own.
int try_elsewhere(uint8_t family, const std::vector<sock_filter>& program) {
  Fd fd;
  int error = open_datagram(family, &fd);
  return error != 0 ? error : attach_filter(fd.get(), program);
}

}  // namespace

int EndpointFilter::set(int fd, uint8_t family, Wanted wanted) {
  bool single = !wanted.program.empty() && !wanted.of_flows;
  if (single && joins_now(fd, family)) {
    if (int error = try_elsewhere(family, wanted.program)) return error;
    if (int error = stop_arrivals(fd)) return error;
    waiting_ = std::make_unique<Wanted>(std::move(wanted));
  } else {
    if (int error = apply(fd, wanted)) return error;
    waiting_.reset();
  }
  single_ = single;
  return 0;
}

int EndpointFilter::after_turn(int fd, uint8_t family) {
  if (!waiting_ || !is_empty(fd)) return 0;
  std::unique_ptr<Wanted> wanted = std::move(waiting_);
  set_option(fd, family, SocketOption::gro, 0);
  int error = apply(fd, *wanted);
  if (error != 0) {
    detach_filter(fd);
    single_ = false;
  }
  return error;
}

int EndpointFilter::apply(int fd, const Wanted& wanted) {
  int error = wanted.program.empty() ? detach_filter(fd) : attach_filter(fd, wanted.program);
  return error == 0 && wanted.lock ? lock_filter(fd) : error;
}

}  // namespace ksocket
