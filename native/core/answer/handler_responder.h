// Answers as a handler in a shared object says (native/include/ksocket_handler.h).
#pragma once

#include <memory>
#include <vector>

#include "core/answer/answers.h"
#include "core/answer/handler.h"
#include "core/answer/responder.h"
#include "core/base/udp_limits.h"

namespace ksocket {

class HandlerResponder final : public Responder {
 public:
  HandlerResponder(std::unique_ptr<Handler> handler, int fd, uint8_t family, uint16_t port, bool offloads,
                   LoopGuard* loops, Counters counters);

  std::span<const Incoming> answer(const ResponderTools& tools, const uint8_t* base,
                                   std::span<const Incoming> batch) override;

 private:
  // Of one call of the handler, as ksocket_handler.h promises; what more a receive call brings is for the
  // next.
  static constexpr size_t kRequestsMax = 4096;
  static constexpr size_t kScratchBytes = 1 << 20;

  struct Call;
  void handle(const ResponderTools& tools);

  std::unique_ptr<Handler> handler_;
  const uint16_t port_;
  const Counters counters_;
  Answers answers_;
  std::vector<ksocket_request> requests_;
  std::vector<Incoming> incoming_;  // a datagram each, as requests_
  std::vector<Incoming> delivered_;
  std::vector<uint8_t> scratch_;  // replies
};

}  // namespace ksocket
