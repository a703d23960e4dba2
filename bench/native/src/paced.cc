// Evenly spaced datagrams at an exact rate, each with its sequence number, and how late they left.
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "clock.h"
#include "commands.h"
#include "control.h"
#include "histogram.h"
#include "net.h"
#include "usage.h"

namespace loadgen {

static volatile sig_atomic_t stopped = 0;

// paced has one thread, so it takes the signals itself instead of through run_under_control.
static void stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stopped = 1; };
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM}) {
    sigaction(signal, &action, nullptr);
    sigaddset(&set, signal);
  }
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

int paced(Args& args) {
  const std::vector<uint16_t> ports = args.ports("port");
  const double rate = args.real("rate", 0);
  const double seconds = args.real("seconds", 0);
  const uint64_t count = args.number("count", static_cast<uint64_t>(std::llround(rate * seconds)));
  const size_t size = args.number("size", 64);
  // A sleep wakes up tens of microseconds late on a virtual machine: shorter waits are spun.
  const uint64_t spin_ns = args.number("spin-us", 20) * 1000;
  args.reject_unknown();
  if (ports.size() != 1 || rate <= 0 || count == 0) {
    throw std::invalid_argument("needs one --port, --rate, and --seconds or --count");
  }

  const Fd fd = udp_socket();
  bind_to(fd, "127.0.0.1", 0);
  connect_to(fd, address_of("127.0.0.1", ports[0]));
  prctl(PR_SET_TIMERSLACK, 1);
  stop_on_signals();

  std::vector<char> payload(size, 'k');
  Histogram late;
  Tally tally;
  JsonLine().add("event", "ready").print();
  const Usage from = Usage::now(tally);
  const double interval_ns = 1e9 / rate;
  for (uint64_t i = 0; i < count && !stopped; i++) {
    const uint64_t deadline = from.time_ns + static_cast<uint64_t>(static_cast<double>(i) * interval_ns);
    uint64_t now = now_ns();
    if (now + spin_ns < deadline) sleep_until(deadline - spin_ns);
    while ((now = now_ns()) < deadline && !stopped) {
    }
    late.record(now > deadline ? now - deadline : 0);
    if (size >= sizeof i) std::memcpy(payload.data(), &i, sizeof i);
    if (send(fd.get(), payload.data(), size, 0) < 0) {
      if (errno != ECONNREFUSED && errno != EAGAIN && errno != ENOBUFS && errno != EINTR) fail("send");
      tally.refused.add(1);
      continue;
    }
    tally.count.add(1);
    tally.bytes.add(size);
    tally.calls.add(1);
  }
  const Usage to = Usage::now(tally);
  JsonLine line = result_line(from, to);
  line.add("rate", static_cast<double>(to.count) * 1e9 / static_cast<double>(to.time_ns - from.time_ns))
      .add("lateP50Us", static_cast<double>(late.percentile(50)) / 1e3)
      .add("lateP99Us", static_cast<double>(late.percentile(99)) / 1e3)
      .add("lateMaxUs", static_cast<double>(late.max()) / 1e3)
      .print();
  return 0;
}

}  // namespace loadgen
