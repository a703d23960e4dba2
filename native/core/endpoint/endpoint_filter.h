// The filter that a program sets on its socket, and UDP_GRO, which has to fit it: of datagrams that are
// joined the filter would see the first one only, and the length of all.
//
// Without UDP_GRO nobody says any more where one of the joined datagrams ends that wait in the receive buffer
// already. So where it is on, nothing more arrives until they are read; that takes microseconds, as
// IoThread::set_filter() reads them.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace ksocket {

class EndpointFilter {
 public:
  struct Wanted {
    std::vector<sock_filter> program;  // empty: none
    bool lock = false;                 // nobody can change it any more
    bool of_flows = false;             // it looks at nothing that joined datagrams do not have in common
  };

  // 0 or -errno; then everything is as before.
  int set(int fd, uint8_t family, Wanted wanted);
  // Has what waits in the receive buffer to be read first?
  bool waits() const { return waiting_ != nullptr; }
  // Something may have been read: the filter is set if nothing is left. 0 or -errno: there is none then.
  int after_turn(int fd, uint8_t family);

  // May the kernel join datagrams?
  bool may_join() const { return !single_; }

 private:
  int apply(int fd, const Wanted& wanted);

  bool single_ = false;
  std::unique_ptr<Wanted> waiting_;  // few sockets have one, and not for long
};

}  // namespace ksocket
