// One datagram outstanding: the round trip as a client sees it.
#include <sched.h>
#include <sys/prctl.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "clock.h"
#include "commands.h"
#include "histogram.h"
#include "net.h"
#include "usage.h"

namespace loadgen {

namespace {

class Client {
 public:
  Client(uint16_t port, size_t size, bool spin, uint64_t timeout_ms)
      : fd_(udp_socket()),
        payload_(size, 'k'),
        reply_(65536),
        spin_(spin),
        timeout_ns_(timeout_ms * 1'000'000) {
    connect_to(fd_, address_of(other_host(), port));
    const timeval wait = {static_cast<time_t>(timeout_ms / 1000),
                          static_cast<suseconds_t>(timeout_ms % 1000 * 1000)};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  }

  // → the round trip in ns, or 0 when no answer came.
  uint64_t round_trip() {
    sequence_++;
    std::memcpy(payload_.data(), &sequence_, sizeof sequence_);
    const uint64_t sent_ns = now_ns();
    if (send(fd_.get(), payload_.data(), payload_.size(), 0) < 0) return 0;
    for (;;) {
      const ssize_t got = recv(fd_.get(), reply_.data(), reply_.size(), spin_ ? MSG_DONTWAIT : 0);
      const uint64_t now = now_ns();
      // An answer that comes after its time-out is not the answer to a later question.
      if (got >= static_cast<ssize_t>(sizeof sequence_) &&
          std::memcmp(reply_.data(), &sequence_, sizeof sequence_) == 0) {
        return now - sent_ns;
      }
      if (got < 0 && errno != EAGAIN) return 0;
      if (now - sent_ns >= timeout_ns_) return 0;
    }
  }

  // Was the last answer sent from the CPU that we run on? Loopback delivers on the sender's CPU. Two
  // processes that share one take turns without waking an idle core: another, much shorter round trip.
  bool same_cpu() const {
    int cpu = -1;
    socklen_t length = sizeof cpu;
    getsockopt(fd_.get(), SOL_SOCKET, SO_INCOMING_CPU, &cpu, &length);
    return cpu == sched_getcpu();
  }

 private:
  Fd fd_;
  std::vector<char> payload_;
  std::vector<char> reply_;
  bool spin_;
  uint64_t timeout_ns_;
  uint64_t sequence_ = 0;
};

class Pace {
 public:
  explicit Pace(double rate)
      : interval_ns_(rate > 0 ? static_cast<uint64_t>(1e9 / rate) : 0), next_ns_(now_ns()) {}

  // Until the next question's time; at once when that is over.
  void wait() {
    if (interval_ns_ == 0) return;
    next_ns_ = std::max(next_ns_ + interval_ns_, now_ns());
    sleep_until(next_ns_);
  }

 private:
  uint64_t interval_ns_;
  uint64_t next_ns_;
};

}  // namespace

int pingpong(Args& args) {
  const std::vector<uint16_t> ports = args.ports("port");
  const uint64_t seconds_ns = static_cast<uint64_t>(args.real("seconds", 2) * 1e9);
  const uint64_t warmup_ns = static_cast<uint64_t>(args.real("warmup", 0.5) * 1e9);
  const size_t size = args.number("size", 64);
  const bool spin = args.flag("spin");
  const uint64_t timeout_ms = args.number("timeout-ms", 200);
  // Questions a second, evenly spaced; 0: each as soon as the last is answered.
  const double rate = args.real("rate", 0);
  args.reject_unknown();
  if (ports.size() != 1 || size < sizeof(uint64_t)) {
    throw std::invalid_argument("needs one --port and --size of 8 or more");
  }

  Client client(ports[0], size, spin, timeout_ms);
  prctl(PR_SET_TIMERSLACK, 1);
  Pace pace(rate);
  JsonLine().add("event", "ready").print();
  for (const uint64_t end = now_ns() + warmup_ns; now_ns() < end; pace.wait()) client.round_trip();

  Histogram times;
  Tally tally;
  uint64_t timeouts = 0, same_cpu = 0;
  const Usage from = Usage::now(tally);
  for (; now_ns() < from.time_ns + seconds_ns; pace.wait()) {
    const uint64_t ns = client.round_trip();
    if (ns == 0) {
      timeouts++;
      continue;
    }
    times.record(ns);
    if (client.same_cpu()) same_cpu++;
    tally.count.add(1);
    tally.bytes.add(size);
  }
  const auto us = [&](double percent) { return static_cast<double>(times.percentile(percent)) / 1e3; };
  JsonLine line = result_line(from, Usage::now(tally));
  line.add("p50Us", us(50))
      .add("p90Us", us(90))
      .add("p99Us", us(99))
      .add("p999Us", us(99.9))
      .add("maxUs", static_cast<double>(times.max()) / 1e3)
      .add("timeouts", timeouts)
      .add("sameCpu",
           times.count() > 0 ? static_cast<double>(same_cpu) / static_cast<double>(times.count()) : 0)
      .print();
  return 0;
}

}  // namespace loadgen
