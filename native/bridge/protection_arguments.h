// Lists and limits as lib/server/ gives them.
#pragma once

#include <optional>

#include "bridge/arguments.h"
#include "core/answer/guarded_responder.h"

namespace ksocket {

// { rate, burst }; none when it is undefined.
std::optional<RateLimit> rate_limit(Reader& reader, const Napi::Value& given);

// { deny, allow?, perSource?: { rate, burst, sources }, total?: { rate, burst } }, lists as
// AddressSet::decode takes them; 0 or -errno.
int guard_options(Reader& reader, const Napi::Value& given, GuardedResponder::Options* out);

}  // namespace ksocket
