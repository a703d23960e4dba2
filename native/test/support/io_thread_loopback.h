// An I/O thread on real sockets, once on each engine.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "core/socket/options.h"
#include "core/socket/socket.h"
#include "support/engines.h"
#include "support/io_rig.h"
#include "support/loopback.h"

namespace ksocket::test {

class IoThreadOnLoopback : public OnEachEngine {
 protected:
  std::unique_ptr<IoRig> start(IoRig::Options options = {}) {
    return start_on(make_engine(), std::move(options));
  }
  std::unique_ptr<IoRig> start_on(std::unique_ptr<Engine> engine, IoRig::Options options = {}) {
    auto rig = std::make_unique<IoRig>(std::move(engine), std::move(options));
    EXPECT_EQ(rig->thread.start(), 0);
    return rig;
  }
  // A watched socket on a port of its own.
  static std::shared_ptr<Endpoint> listen(IoRig& rig, uint8_t family = 4) {
    return watch(rig, rig.add(bound_socket(family), family));
  }
  // One that is connected. The kernel would not mind if it were watched before, but ThreadSanitizer takes
  // connect() for the making of a descriptor.
  static std::shared_ptr<Endpoint> connected(IoRig& rig, const Address& to) {
    auto endpoint = rig.add(bound_socket());
    EXPECT_EQ(connect_socket(endpoint->fd.get(), to), 0);
    return watch(rig, endpoint);
  }
  static std::shared_ptr<Endpoint> watch(IoRig& rig, std::shared_ptr<Endpoint> endpoint) {
    set_option(endpoint->fd.get(), endpoint->family, SocketOption::report_kernel_drops, 1);
    EXPECT_EQ(rig.thread.watch(*endpoint), 0);
    return endpoint;
  }
};

}  // namespace ksocket::test
