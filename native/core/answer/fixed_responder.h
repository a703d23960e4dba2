// The original's answer: the same bytes to every datagram, or the datagram itself.
#pragma once

#include <vector>

#include "core/answer/answers.h"
#include "core/answer/responder.h"
#include "core/base/fd.h"

namespace ksocket {

class FixedResponder final : public Responder {
 public:
  enum class Kind : uint8_t { fixed, echo };

  struct Options {
    Kind kind = Kind::fixed;
    std::vector<uint8_t> reply;  // fixed: what to answer
    Fd target;                   // connected socket for the answers; none: back to each source
    uint8_t family = 4;          // of the socket that the answers leave through
    LoopGuard* loops = nullptr;  // null: everybody is answered
  };

  FixedResponder(Options options, int source_fd, uint32_t keep_bytes_max, bool offloads, Counters counters);

  std::span<const Incoming> answer(const ResponderTools& tools, const uint8_t* base,
                                   std::span<const Incoming> batch) override;

 private:
  void echo(const Incoming& datagram, const Address* to);

  Options options_;
  uint32_t keep_bytes_max_;
  Answers answers_;
};

}  // namespace ksocket
