// The C limit of answering: one call a datagram, or batches, or batches of joined segments.
#include <netinet/udp.h>

#include <cerrno>
#include <stdexcept>

#include "commands.h"
#include "control.h"
#include "net.h"
#include "receiver.h"

namespace loadgen {

namespace {

bool worth_retrying(int error) {
  return error == EINTR || error == EAGAIN || error == ECONNREFUSED || error == ENOBUFS;
}

void echo_plain(const Fd& fd, bool spin, Tally& tally) {
  std::vector<char> payload(65536);
  sockaddr_in peer;
  for (;;) {
    socklen_t peer_length = sizeof peer;
    const ssize_t got = recvfrom(fd.get(), payload.data(), payload.size(), spin ? MSG_DONTWAIT : 0,
                                 reinterpret_cast<sockaddr*>(&peer), &peer_length);
    if (got < 0) {
      if (worth_retrying(errno)) continue;
      fail("recvfrom");
    }
    if (sendto(fd.get(), payload.data(), static_cast<size_t>(got), 0, reinterpret_cast<sockaddr*>(&peer),
               peer_length) < 0) {
      tally.refused.add(1);
      continue;
    }
    tally.count.add(1);
    tally.bytes.add(static_cast<uint64_t>(got));
    tally.calls.add(2);
  }
}

void echo_batches(const Fd& fd, bool gro, bool spin, Tally& tally) {
  ReceiveBatch batch(64, 65536);
  for (;;) {
    const int got = batch.receive(fd.get(), spin ? MSG_DONTWAIT : 0);
    if (got < 0) {
      if (worth_retrying(errno)) continue;
      fail("recvmmsg");
    }
    const size_t received = static_cast<size_t>(got);
    uint64_t datagrams = 0, bytes = 0;
    for (size_t i = 0; i < received; i++) {
      datagrams += batch.datagrams(i);
      bytes += batch.length(i);
    }
    mmsghdr* replies = batch.as_replies(received, gro);
    for (size_t done = 0; done < received;) {
      const int sent = sendmmsg(fd.get(), replies + done, static_cast<unsigned>(received - done), 0);
      if (sent < 0) tally.refused.add(1);
      done += sent > 0 ? static_cast<size_t>(sent) : 1;  // a refused one is skipped
    }
    tally.count.add(datagrams);
    tally.bytes.add(bytes);
    tally.calls.add(2);
  }
}

}  // namespace

int echo(Args& args) {
  const std::string mode = args.text("mode", "plain");
  const bool spin = args.flag("spin");
  if (mode != "plain" && mode != "batch" && mode != "gro") {
    throw std::invalid_argument("--mode is plain, batch or gro");
  }
  const Fd fd = udp_socket();
  if (mode == "gro") set_option(fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
  const uint16_t port = bind_to(fd, own_host(), static_cast<uint16_t>(args.number("port", 0)));

  Tally tally;
  JsonLine ready;
  ready.add("event", "ready").add("port", static_cast<uint64_t>(port));
  run_under_control(args, tally, ready, [&] {
    if (mode == "plain") echo_plain(fd, spin, tally);
    echo_batches(fd, mode == "gro", spin, tally);
  });
}

}  // namespace loadgen
