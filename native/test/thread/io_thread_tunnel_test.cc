// A tunnel on its thread: what others ask of it while frames pass, and its end in the middle of that.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "core/answer/tunnel.h"
#include "support/io_thread_loopback.h"
#include "support/tap_pair.h"

namespace ksocket {
namespace {

using test::eventually;
using test::IoRig;
using test::name_of;

// A socket, and a tunnel behind it with its device.
struct End {
  explicit End(IoRig& rig) : endpoint(rig.add(test::bound_socket())), thread(rig.thread) {}
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
    auto made = std::make_unique<Tunnel>(std::move(options), Tap{std::move(tap.device), "none", 1500, true},
                                         endpoint->fd.get(), uint8_t{4},
                                         Tunnel::Host{watch, [&engine](int fd) { engine.unwatch(fd); }}, true,
                                         TunnelCounters(cells), endpoint->counters);
    tunnel = made.get();
    std::lock_guard lock(endpoint->rx_mutex);
    endpoint->responder = std::move(made);
    ASSERT_EQ(tunnel->start(), 0);
  }

  std::shared_ptr<Endpoint> endpoint;
  IoThread& thread;
  test::TapPair tap;
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
          end->tap.send(test::make_frame({.id = n}));
          end->tap.take();
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
