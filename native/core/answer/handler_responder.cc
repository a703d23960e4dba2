#include "core/answer/handler_responder.h"

#include "core/base/clock.h"

namespace ksocket {

namespace {

ksocket_address to_c(const Address& address) {
  ksocket_address out{};
  std::memcpy(out.bytes, address.bytes, sizeof out.bytes);
  out.scope_id = address.scope_id;
  out.port = address.port;
  out.family = address.family;
  return out;
}

}  // namespace

// One call of the handler. The batch comes first, so that a pointer to it is a pointer to this.
struct HandlerResponder::Call {
  ksocket_batch batch;
  HandlerResponder* self;
  const ResponderTools* tools;
  uint32_t used;  // bytes of scratch_

  static Call& of(const ksocket_batch* batch) {
    return *const_cast<Call*>(reinterpret_cast<const Call*>(batch));
  }

  static uint8_t* reply(const ksocket_batch* batch, uint32_t index, uint32_t length) {
    Call& call = of(batch);
    HandlerResponder& self = *call.self;
    if (index >= batch->count || length > kReplyBytesMax) return nullptr;
    if (call.used + length > kScratchBytes) {  // the earlier ones are complete: they can go
      self.answers_.flush(*call.tools, self.scratch_.data());
      call.used = 0;
    }
    const Incoming& question = self.incoming_[index];
    // What may not leave is written all the same: the handler need not know.
    if (self.answers_.admits(question.from, {batch->requests[index].data, question.length}, 1,
                             LoopGuard::Kind::reply)) {
      self.answers_.add(&question.from, call.used, length, 0, question.packet_info);
      self.counters_.add(Counter::replies, 1);
    }
    uint8_t* out = self.scratch_.data() + call.used;
    call.used += length;
    return out;
  }

  static void deliver(const ksocket_batch* batch, uint32_t index) {
    HandlerResponder& self = *of(batch).self;
    if (index < batch->count) self.delivered_.push_back(self.incoming_[index]);
  }
};

HandlerResponder::HandlerResponder(std::unique_ptr<Handler> handler, int fd, uint8_t family, uint16_t port,
                                   bool offloads, LoopGuard* loops, Counters counters)
    : handler_(std::move(handler)),
      port_(port),
      counters_(counters),
      answers_(fd, family, offloads, loops, counters),
      scratch_(kScratchBytes) {
  requests_.reserve(kRequestsMax);
  incoming_.reserve(kRequestsMax);
  delivered_.reserve(kRequestsMax);
}

std::span<const Incoming> HandlerResponder::answer(const ResponderTools& tools, const uint8_t* base,
                                                   std::span<const Incoming> batch) {
  requests_.clear();
  incoming_.clear();
  delivered_.clear();
  for (const Incoming& one : batch) {
    for_each_datagram(one, [&](uint32_t offset, uint32_t length) {
      if (requests_.size() == kRequestsMax) handle(tools);
      incoming_.push_back(one.part(offset, length, 0));
      requests_.push_back({base + offset, length, 0, to_c(one.from)});
    });
  }
  handle(tools);
  return delivered_;
}

void HandlerResponder::handle(const ResponderTools& tools) {
  if (requests_.empty()) return;
  Call call{{static_cast<uint32_t>(requests_.size()), port_, 0, clock_ns(CLOCK_REALTIME), requests_.data(),
             Call::reply, Call::deliver},
            this,
            &tools,
            0};
  handler_->handle(call.batch);
  answers_.flush(tools, scratch_.data());
  requests_.clear();
  incoming_.clear();
}

}  // namespace ksocket
