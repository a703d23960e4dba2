// A responder on the fake engine: the batches it is given, and what it makes of them.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/answer/protection/loop_guard.h"
#include "core/answer/responder.h"
#include "support/fake_engine.h"
#include "support/ring_memory.h"

namespace ksocket::test {

using Lines = std::vector<std::string>;

template <typename Answering>
class Conversation {
 public:
  // What `Answering` is made with, but for the counters, which every responder takes last, and what guards
  // it.
  template <typename... Arguments>
  explicit Conversation(Arguments&&... arguments)
      : responder(std::forward<Arguments>(arguments)..., counters) {}
  template <typename... Arguments>
  requires std::is_constructible_v<Answering, Arguments..., LoopGuard*, Counters>
  explicit Conversation(Arguments&&... arguments)
      : responder(std::forward<Arguments>(arguments)..., &loops, counters) {}

  Conversation& hear(const Address& from, const std::string& data, uint16_t segment_size = 0) {
    incoming_.push_back(
        {static_cast<uint32_t>(payloads_.size()), static_cast<uint32_t>(data.size()), segment_size, from});
    payloads_.insert(payloads_.end(), data.begin(), data.end());
    return *this;
  }
  Conversation& hear(uint16_t port, const std::string& data, uint16_t segment_size = 0) {
    return hear(address_of("127.0.0.1", port), data, segment_size);
  }

  // Answers what was heard: "port: data" for each message, "port/size: data" when it is joined. `delivered`
  // is what JavaScript may have of it: "data", or "data/size".
  Lines answers() {
    delivered.clear();
    for (const Incoming& one : responder.answer({engine, flush, batch, round}, payloads_.data(), incoming_)) {
      std::string data(payloads_.begin() + one.offset, payloads_.begin() + one.offset + one.length);
      delivered.push_back(data + size_suffix(one.segment_size));
    }
    incoming_.clear();
    payloads_.clear();
    Lines out;
    for (const Outgoing& message : engine.take_sent()) {
      out.push_back(std::to_string(message.to.port) + size_suffix(message.segment_size) + ": " +
                    message.data);
    }
    return out;
  }

  FakeEngine engine;
  TxFlush flush;
  RxBatch batch;
  RxRound round;
  CounterRow counters;
  LoopGuard loops{LoopGuard::Options{.own = address_of("127.0.0.1", 2325), .service_ports = {19}}, counters};
  Answering responder;
  Lines delivered;

 private:
  static std::string size_suffix(uint16_t segment_size) {
    return segment_size != 0 ? "/" + std::to_string(segment_size) : "";
  }

  std::vector<uint8_t> payloads_;
  std::vector<Incoming> incoming_;
};

}  // namespace ksocket::test
