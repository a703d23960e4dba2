// A tunnel on the fake engine, with both of its ends in the test's hands.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/answer/tunnel.h"
#include "support/conversation.h"
#include "support/frames.h"
#include "support/tap_pair.h"

namespace ksocket::test {

inline Address remote(int number, uint16_t port = 4789) {
  return address_of(("127.0.0." + std::to_string(number)).c_str(), port);
}

inline Frame with_ends(Frame frame, uint8_t to, uint8_t from) {
  frame[5] = to, frame[11] = from;
  return frame;
}

// A tunnel, its device and the network.
struct TunnelRig {
  explicit TunnelRig(Tunnel::Options options)
      : talk(std::move(options), Tap{std::move(tap.device), "none", 1500, true}, 0, uint8_t{4},
             Tunnel::Host{[this](int fd, uint32_t key, uint32_t interest) {
                            watches[fd] = {key, interest};
                            return 0;
                          },
                          [this](int fd) { watches.erase(fd); }},
             true, TunnelCounters(cells)) {
    talk.responder.start();
  }

  void device_sends(const Frame& frame, VnetHeader header = {}) { ASSERT_TRUE(tap.send(frame, header)); }
  void device_is_readable() { talk.responder.ready(tools(), 0); }
  // "4789/size: bytes" by destination's last byte, of each message that left.
  std::vector<Outgoing> left() {
    device_is_readable();
    return talk.engine.take_sent();
  }
  std::vector<Frame> device_got() { return tap.take(); }
  void hear(const Address& from, const Frame& frame, uint32_t vni = 7) {
    Frame datagram(8);
    write_vxlan(vni, datagram.data());
    datagram.insert(datagram.end(), frame.begin(), frame.end());
    hear_bytes(from, datagram);
  }
  void hear_bytes(const Address& from, const Frame& datagram, uint16_t segment_size = 0) {
    talk.hear(from, std::string(datagram.begin(), datagram.end()), segment_size);
    talk.answers();
  }
  uint64_t count(TunnelCounter counter) { return talk.responder.counters().get(counter); }
  ResponderTools tools() { return {talk.engine, talk.flush, talk.batch, talk.round}; }
  // Which keys are watched for what.
  std::map<uint32_t, uint32_t> watched() {
    std::map<uint32_t, uint32_t> out;
    for (const auto& [fd, what] : watches) out.emplace(what);
    return out;
  }

  std::map<int, std::pair<uint32_t, uint32_t>> watches;  // before `talk`, which takes them back
  TapPair tap;
  uint64_t cells[kTunnelCounters] = {};
  Conversation<Tunnel> talk;
};

inline Tunnel::Options tunnel_to(std::vector<Address> remotes) {
  Tunnel::Options out;
  out.vni = 7;
  out.remotes = std::move(remotes);
  // No device of this name can be made.
  out.device.name = "longer-than-sixteen-bytes";
  return out;
}

}  // namespace ksocket::test
