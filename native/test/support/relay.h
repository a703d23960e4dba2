// A forwarder between clients and back ends on loopback; the test is the thread that it works on.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/answer/forwarder.h"
#include "engine/choose.h"
#include "support/loopback.h"
#include "support/ring_memory.h"
#include "support/waiting.h"

namespace ksocket::test {

inline constexpr uint64_t kSecond = 1'000'000'000;

class Relay {
 public:
  static constexpr uint32_t kFirstKey = 100;

  Relay(std::vector<const Peer*> back_ends, Forwarder::Options options = {}) {
    for (const Peer* peer : back_ends) options.targets.push_back(peer->address());
    forwarder = std::make_unique<Forwarder>(
        std::move(options), kFirstKey,
        Forwarder::Host{
            [this](int fd, uint32_t key) { return watched[key] = fd, watch_calls++, 0; },
            [this](int fd) { std::erase_if(watched, [&](auto& one) { return one.second == fd; }); }},
        engine->traits().offloads, row);
  }

  // As if `client` had sent this to the server.
  void arrive(const Address& client, const std::string& data, uint16_t segment_size = 0) {
    send(*forwarder, client, data, segment_size);
  }
  void send(Forwarder& through, const Address& client, const std::string& data, uint16_t segment_size = 0) {
    auto* base = reinterpret_cast<const uint8_t*>(data.data());
    through.forward(client, base, 0, static_cast<uint32_t>(data.size()), segment_size, hops, now);
    through.flush(tools(), base);
  }
  // The same of several at once: a batch.
  void arrive_together(const std::vector<Address>& clients, const std::string& data) {
    auto* base = reinterpret_cast<const uint8_t*>(data.data());
    for (const Address& client : clients) {
      forwarder->forward(client, base, 0, static_cast<uint32_t>(data.size()), 0, hops, now);
    }
    forwarder->flush(tools(), base);
  }
  // Until `client` has an answer.
  std::string answer(Peer& client) {
    std::string out = "nothing";
    EXPECT_TRUE(eventually([&] {
      auto keys = watched;
      for (auto [key, fd] : keys) forwarder->ready(tools(), key, to_clients, now);
      if (client.quiet()) return false;
      out = client.receive().value_or("nothing");
      return true;
    }));
    return out;
  }
  ResponderTools tools() { return {*engine, flush, batch, round}; }

  std::unique_ptr<Engine> engine = choose_engine("").engine;
  TxFlush flush;
  RxBatch batch;
  RxRound round;
  CounterRow row;
  Fd server = bound_socket();
  Answers to_clients{server.get(), 4, true, nullptr, row};
  uint64_t now = kSecond;
  uint8_t hops = 64;  // that what arrives has left
  std::map<uint32_t, int> watched;
  uint32_t watch_calls = 0;
  std::unique_ptr<Forwarder> forwarder;
};

// Receives a datagram and answers it with `answer`.
inline void serve(Peer& back_end, const std::string& request, const std::string& answer) {
  Address from;
  ASSERT_EQ(back_end.receive(&from), request);
  ASSERT_TRUE(back_end.send(from, answer));
}

inline Address spoofed_by(const Peer& peer, uint16_t port) {
  Address out = peer.address();
  out.port = port;
  return out;
}

}  // namespace ksocket::test
