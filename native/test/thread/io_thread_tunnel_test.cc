// A tunnel on its thread: what others ask of it while frames pass, and its end in the middle of that.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "core/answer/tunnel.h"
#include "support/frames.h"
#include "support/io_thread_loopback.h"

namespace ksocket {
namespace {

using test::eventually;
using test::Frame;
using test::IoRig;
using test::name_of;

// A socket, and a tunnel behind it whose device is one end of a pair of sockets: it keeps frames apart, too.
struct End {
  End(IoRig& rig) : endpoint(rig.add(test::bound_socket())), thread(rig.thread) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) != 0)
      throw std::runtime_error("socketpair");
    machine = Fd(fds[0]), device = Fd(fds[1]);
  }
  // As the bridge does it.
  void open(const Address& other) {
    Tunnel::Options options;
    options.vni = 7;
    options.remotes = {other};
    options.device.name = "longer-than-sixteen-bytes";  // none can be made again
    Engine& engine = thread.engine();
    auto watch = [&engine, id = endpoint->id](int fd, uint32_t key, uint32_t interest) {
      return engine.watch(fd, responder_token(id, key), interest);
    };
    auto made = std::make_unique<Tunnel>(std::move(options), Tap{std::move(device), "none", 1500, true},
                                         endpoint->fd.get(), uint8_t{4},
                                         Tunnel::Host{watch, [&engine](int fd) { engine.unwatch(fd); }}, true,
                                         TunnelCounters(cells), endpoint->counters);
    tunnel = made.get();
    std::lock_guard lock(endpoint->rx_mutex);
    endpoint->responder = std::move(made);
    ASSERT_EQ(tunnel->start(), 0);
  }
  bool sends(const Frame& frame) {
    Frame all(sizeof(VnetHeader));
    all.insert(all.end(), frame.begin(), frame.end());
    return send(machine.get(), all.data(), all.size(), MSG_DONTWAIT) == static_cast<ssize_t>(all.size());
  }
  size_t takes() {
    size_t frames = 0;
    Frame buffer(70000);
    while (recv(machine.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) frames++;
    return frames;
  }

  std::shared_ptr<Endpoint> endpoint;
  IoThread& thread;
  Fd machine, device;
  Tunnel* tunnel = nullptr;
  uint64_t cells[kTunnelCounters] = {};
};

class IoThreadTunnel : public test::IoThreadOnLoopback {};
INSTANTIATE_TEST_SUITE_P(, IoThreadTunnel, test::both_engines(), test::engine_name);

TEST_P(IoThreadTunnel, is_asked_and_ended_while_frames_pass) {
  for (int round = 0; round < 5; round++) {
    auto rig = start();
    End left(*rig), right(*rig);
    left.open(name_of(right.endpoint->fd.get()));
    right.open(name_of(left.endpoint->fd.get()));
    for (End* end : {&left, &right}) {
      end->endpoint->deliver = false;
      watch(*rig, end->endpoint);
    }
    std::atomic<bool> done = false;
    // Who sends frames on both sides, and who asks, as the event loop does.
    std::thread machines([&] {
      for (uint32_t n = 0; !done.load(); n++) {
        for (End* end : {&left, &right}) {
          end->sends(test::make_frame({.id = n}));
          end->takes();
        }
      }
    });
    auto passed = [&](End& end) { return end.tunnel->counters().get(TunnelCounter::frames_received); };
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(left.endpoint->rx_mutex);
      EXPECT_EQ(left.tunnel->device()->name, "none");
      return passed(left) > 100 && passed(right) > 100;
    }));
    rig->thread.close(left.endpoint->id);
    rig->thread.close(right.endpoint->id);
    done.store(true);
    machines.join();
  }
}

}  // namespace
}  // namespace ksocket
