// Datagrams to send, staged as JavaScript stages them, and a socket on the fake engine that sends them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/datapath/tx_flush.h"
#include "support/fake_engine.h"
#include "support/ring_memory.h"

namespace ksocket::test {

using Lines = std::vector<std::string>;
using Results = std::vector<int32_t>;

// Each datagram starts with a label of its own, and each destination is known by its port, so that what left
// can be written down in a line.
class Staging {
 public:
  static Address peer(int number) {
    return number == 0 ? Address{} : address_of("127.0.0.1", static_cast<uint16_t>(number));
  }

  Staging& add(const Address& to, const std::string& label, uint32_t bytes, uint16_t segment_size = 0) {
    std::string data = label;
    data.resize(bytes, '.');
    return add_data(to, data, segment_size);
  }
  Staging& add(int to, const std::string& label, uint32_t bytes) { return add(peer(to), label, bytes); }

  // A super-datagram, as an echo gets them from GRO: labels are `bytes_each` apart.
  Staging& add_joined(int to, const std::vector<std::string>& labels, uint16_t bytes_each,
                      uint32_t last_bytes) {
    std::string data;
    for (size_t i = 0; i < labels.size(); i++) {
      data += labels[i];
      data.resize(i * bytes_each + (i + 1 == labels.size() ? last_bytes : bytes_each), '.');
    }
    return add_data(peer(to), data, bytes_each);
  }

  // "7/100: a0 a1": one message to port 7, joined from segments of 100 bytes.
  static std::string line(const Outgoing& message) {
    std::string out = std::to_string(message.to.port);
    size_t each = message.data.size();
    if (message.segment_size != 0) {
      each = message.segment_size;
      out += "/" + std::to_string(each);
    }
    out += ":";
    size_t at = 0;
    do {
      out += " " + message.data.substr(at, std::min(each, message.data.size() - at)).substr(0, 2);
      at += each;
    } while (at < message.data.size());
    return out;
  }

  std::vector<Descriptor> descriptors;
  std::vector<uint8_t> payloads;

 protected:
  std::vector<Descriptor> staged_;

 private:
  Staging& add_data(const Address& to, const std::string& data, uint16_t segment_size) {
    Descriptor& d = descriptors.emplace_back();
    write_address(to, &d);
    d.offset = static_cast<uint32_t>(payloads.size());
    d.length = static_cast<uint32_t>(data.size());
    d.segment_size = segment_size;
    d.result = -12345;  // something nobody says
    payloads.insert(payloads.end(), data.begin(), data.end());
    staged_ = descriptors;
    return *this;
  }
};

class Outbox : public Staging {
 public:
  explicit Outbox(bool gso = true) { socket.gso.enabled = gso; }

  bool send() { return flush.send(engine, socket, payloads.data(), descriptors); }
  // The same datagrams once more, staged afresh: a flush may have used up their descriptors.
  bool send_again() {
    descriptors = staged_;
    return send();
  }
  // What IoThread does with what was deferred: again, later.
  bool send_deferred() {
    bool settled = true;
    for (Descriptor& d : descriptors) {
      if (d.result == kResultDeferred && settled)
        settled = flush.send(engine, socket, payloads.data(), {&d, 1});
    }
    return settled;
  }

  Results results() const {
    Results out;
    for (const Descriptor& d : descriptors) out.push_back(d.result);
    return out;
  }
  Lines lines() {
    Lines out;
    for (const Outgoing& message : engine.take_sent()) out.push_back(line(message));
    return out;
  }

  FakeEngine engine;
  TxFlush flush;
  CounterRow counters;
  TxSocket socket{7, 4, counters};
};

}  // namespace ksocket::test
