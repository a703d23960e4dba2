// Writes the replies of rules: literal bytes, and slots that depend on the request.
#pragma once

#include <cstdint>

#include "core/answer/rules/rule.h"

namespace ksocket::rules {

inline constexpr size_t kDoesNotFit = SIZE_MAX;

// No reply to a request of that many bytes is longer, whatever the source.
size_t max_size(const Template& reply, size_t request_bytes);

// The longest reply that the rule may give: a server that answers more than it was asked with can be made to
// flood others by spoofed sources, so that has to be allowed (`amplify`).
inline size_t size_limit(const Rule& rule, size_t request_bytes) {
  return rule.amplify || request_bytes > kReplyBytesMax ? kReplyBytesMax : request_bytes;
}

// Writes the reply and returns its size, or kDoesNotFit when it is longer than `capacity`; then `out` holds
// anything. `counter`: how many replies this rule has made before. `out` must not overlap the request.
// Allocates nothing.
size_t render(const Template& reply, const Request& request, uint64_t counter, uint8_t* out, size_t capacity);

}  // namespace ksocket::rules
