// The C limit of receiving: nothing but recvmmsg, and with --gro what the kernel joined is counted apart.
#include <netinet/udp.h>
#include <sys/epoll.h>

#include <cerrno>

#include "commands.h"
#include "control.h"
#include "net.h"
#include "receiver.h"

namespace loadgen {

namespace {

void count(const ReceiveBatch& batch, int received, Tally& tally) {
  uint64_t datagrams = 0, bytes = 0;
  for (size_t i = 0; i < static_cast<size_t>(received); i++) {
    datagrams += batch.datagrams(i);
    bytes += batch.length(i);
  }
  tally.count.add(datagrams);
  tally.bytes.add(bytes);
  tally.calls.add(1);
}

void read_one(const Fd& fd, ReceiveBatch& batch, Tally& tally) {
  for (;;) {
    const int received = batch.receive(fd.get(), 0);
    if (received < 0 && errno != EINTR) fail("recvmmsg");
    if (received > 0) count(batch, received, tally);
  }
}

void read_many(const std::vector<Fd>& sockets, ReceiveBatch& batch, Tally& tally) {
  const Fd poller(epoll_create1(EPOLL_CLOEXEC));
  for (const Fd& fd : sockets) {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = fd.get();
    if (epoll_ctl(poller.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) fail("epoll_ctl");
  }
  std::vector<epoll_event> events(256);
  for (;;) {
    const int ready = epoll_wait(poller.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; i++) {
      const int received = batch.receive(events[static_cast<size_t>(i)].data.fd, MSG_DONTWAIT);
      if (received > 0) count(batch, received, tally);
    }
  }
}

}  // namespace

int sink(Args& args) {
  const bool gro = args.flag("gro");
  const bool hold = args.flag("hold");
  const uint64_t sockets_count = args.number("sockets", 1);
  const int rcvbuf = static_cast<int>(args.number("rcvbuf", 0));
  const uint16_t port = static_cast<uint16_t>(args.number("port", 0));
  ReceiveBatch batch(args.number("batch", 64), 65536);

  std::vector<Fd> sockets;
  std::vector<uint16_t> ports;
  for (uint64_t i = 0; i < sockets_count; i++) {
    const Fd& fd = sockets.emplace_back(udp_socket());
    if (gro) set_option(fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
    if (rcvbuf > 0) set_option(fd, SOL_SOCKET, SO_RCVBUF, rcvbuf, "SO_RCVBUF");
    ports.push_back(bind_to(fd, "127.0.0.1", port == 0 ? 0 : static_cast<uint16_t>(port + i)));
  }

  Tally tally;
  JsonLine ready;
  ready.add("event", "ready").add("port", static_cast<uint64_t>(ports[0])).add("ports", ports);
  run_under_control(args, tally, ready, [&] {
    // --hold: bound, never read. The kernel drops when the buffer is full, and no wake-up disturbs the
    // sender.
    if (hold) return;
    if (sockets.size() == 1) read_one(sockets[0], batch, tally);
    read_many(sockets, batch, tally);
  });
}

}  // namespace loadgen
