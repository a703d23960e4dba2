// without_mmsg [--errno=ENOSYS|EPERM] [--no-epoll] [--no-poll] PROGRAM [ARGUMENT…]
//
// Executes PROGRAM on a "kernel" whose recvmmsg(2) and sendmmsg(2) fail. --no-epoll refuses epoll_create1(2)
// too; Node itself needs that one. --no-poll refuses poll(2) and ppoll(2).
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "support/seccomp.h"

int main(int argc, char** argv) {
  std::vector<int> refused = {SYS_recvmmsg, SYS_sendmmsg};
  int error = ENOSYS;
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    std::string_view option = argv[i];
    if (option == "--no-epoll") {
      refused.push_back(SYS_epoll_create1);
    } else if (option == "--no-poll") {
      refused.push_back(SYS_ppoll);
#ifdef SYS_poll
      refused.push_back(SYS_poll);
#endif
    } else if (option == "--errno=EPERM") {
      error = EPERM;
    } else if (option != "--errno=ENOSYS") {
      std::fprintf(stderr, "without_mmsg: unknown option %s\n", argv[i]);
      return 125;
    }
  }
  if (i >= argc) {
    std::fprintf(
        stderr,
        "usage: without_mmsg [--errno=ENOSYS|EPERM] [--no-epoll] [--no-poll] PROGRAM [ARGUMENT...]\n");
    return 125;
  }
  if (int failed = ksocket::test::refuse_system_calls(refused, error)) {
    std::fprintf(stderr, "without_mmsg: no seccomp filter: %s\n", std::strerror(-failed));
    return 126;
  }
  execvp(argv[i], argv + i);
  std::fprintf(stderr, "without_mmsg: %s: %s\n", argv[i], std::strerror(errno));
  return 127;
}
