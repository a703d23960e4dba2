#include "control.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include "usage.h"

namespace loadgen {

static sigset_t end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

void prepare_process() {
  const sigset_t set = end_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
}

[[noreturn]] static void finish(const JsonLine* result) {
  if (result) result->print();
  fflush(stdout);
  _exit(0);
}

void run_under_control(Args& args, const Tally& tally, const JsonLine& ready, std::function<void()> work) {
  const double seconds = args.real("seconds", 0);
  args.reject_unknown();
  const sigset_t set = end_signals();
  // With --seconds nobody talks to us: stdin may be closed or a terminal.
  pollfd fds[2] = {{signalfd(-1, &set, 0), POLLIN, 0}, {seconds > 0 ? -1 : STDIN_FILENO, POLLIN, 0}};
  ready.print();
  std::thread([work = std::move(work)] {
    try {
      work();
    } catch (const std::exception& error) {
      fprintf(stderr, "loadgen: %s\n", error.what());
      _exit(1);
    }
  }).detach();

  Usage from = Usage::now(tally);
  const uint64_t end_ns = from.time_ns + static_cast<uint64_t>(seconds * 1e9);
  std::string input;
  for (;;) {
    int wait_ms = -1;
    if (seconds > 0) {
      const uint64_t now = now_ns();
      if (now >= end_ns) break;
      wait_ms = static_cast<int>((end_ns - now + 999'999) / 1'000'000);
    }
    if (poll(fds, 2, wait_ms) <= 0) continue;
    if (fds[0].revents) break;
    if (!fds[1].revents) continue;
    char chunk[256];
    const ssize_t got = read(STDIN_FILENO, chunk, sizeof chunk);
    if (got <= 0) finish(nullptr);
    input.append(chunk, static_cast<size_t>(got));
    for (size_t end; (end = input.find('\n')) != std::string::npos; input.erase(0, end + 1)) {
      const std::string line = input.substr(0, end);
      if (line.find("\"start\"") != std::string::npos) {
        JsonLine().add("event", "started").print();
        from = Usage::now(tally);
      } else if (line.find("\"stop\"") != std::string::npos) {
        result_line(from, Usage::now(tally)).print();
      } else if (line.find("\"exit\"") != std::string::npos) {
        finish(nullptr);
      }
    }
  }
  const JsonLine result = result_line(from, Usage::now(tally));
  finish(&result);
}

}  // namespace loadgen
