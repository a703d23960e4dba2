#include "bridge/protection_arguments.h"

namespace ksocket {

std::optional<RateLimit> rate_limit(Reader& reader, const Napi::Value& given) {
  if (given.IsUndefined()) return std::nullopt;
  return RateLimit{u32(reader.get(given, "rate")), u32(reader.get(given, "burst"))};
}

int guard_options(Reader& reader, const Napi::Value& given, GuardedResponder::Options* out) {
  std::optional<AddressSet> deny = AddressSet::decode(bytes(reader.get(given, "deny")));
  if (!deny) return -EINVAL;
  out->deny = std::move(*deny);
  if (Napi::Value allow = reader.get(given, "allow"); !allow.IsUndefined()) {
    out->allow = AddressSet::decode(bytes(allow));
    if (!out->allow) return -EINVAL;
  }
  Napi::Value per_source = reader.get(given, "perSource");
  out->per_source = rate_limit(reader, per_source);
  if (out->per_source) out->sources = u32(reader.get(per_source, "sources"));
  out->total = rate_limit(reader, reader.get(given, "total"));
  return reader.error();
}

}  // namespace ksocket
