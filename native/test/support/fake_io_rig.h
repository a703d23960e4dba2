// An I/O thread on the fake engine, running.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "support/fake_engine.h"
#include "support/io_rig.h"

namespace ksocket::test {

inline const Address kPeer = address_of("127.0.0.1", 4000);

inline Arrival datagram(const std::string& data) {
  return {data, kPeer, 0, {}, 0};
}

class FakeIoRig : public IoRig {
 public:
  explicit FakeIoRig(Options options = {}) : FakeIoRig(new FakeEngine, std::move(options)) {}
  // On a fake that differs. Takes it.
  FakeIoRig(FakeEngine* fake, Options options)
      : IoRig(std::unique_ptr<Engine>(fake), std::move(options)), engine(*fake) {
    EXPECT_EQ(thread.start(), 0);
  }

  // A watched socket.
  std::shared_ptr<Endpoint> socket() {
    auto endpoint = add(dummy_fd());
    EXPECT_EQ(thread.watch(*endpoint), 0);
    return endpoint;
  }
  void arrive(const Endpoint& endpoint, const std::string& data) {
    engine.arrive(endpoint.fd.get(), datagram(data));
  }

  FakeEngine& engine;
};

// A socket whose send buffer is full until the test says otherwise.
class SlowSocket {
 public:
  explicit SlowSocket(FakeIoRig& rig, bool watched = true)
      : endpoint(watched ? rig.socket() : rig.add(dummy_fd())), engine_(rig.engine) {
    engine_.on_send([this](const Outgoing&) -> int { return full ? EAGAIN : 0; });
    engine_.set_writable(endpoint->fd.get(), false);
  }
  void drain() {
    full = false;
    engine_.set_writable(endpoint->fd.get(), true);
  }

  std::atomic<bool> full{true};
  std::shared_ptr<Endpoint> endpoint;

 private:
  FakeEngine& engine_;
};

}  // namespace ksocket::test
