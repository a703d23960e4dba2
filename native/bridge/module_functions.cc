#include "bridge/module_functions.h"

#include <cstring>

#include "core/contract/layout_fields.h"
#include "core/socket/address.h"
#include "core/socket/fd_type.h"
#include "engine/features.h"

namespace ksocket {

namespace {

// parseAddress(family, text, out: Uint8Array(20)) → 0 or -EINVAL. out: 16 address bytes, then the scope id
// (u32, host order), as in a descriptor.
Napi::Value parse_address_text(const Napi::CallbackInfo& info) {
  Address address;
  uint8_t family = static_cast<uint8_t>(info[0].As<Napi::Number>().Uint32Value());
  int error = parse_address(family, info[1].As<Napi::String>().Utf8Value(), 0, &address);
  if (error == 0) {
    uint8_t* out = info[2].As<Napi::Uint8Array>().Data();
    std::memcpy(out, address.bytes, 16);
    std::memcpy(out + 16, &address.scope_id, 4);
  }
  return Napi::Number::New(info.Env(), error);
}

// formatAddress(family, bytes: Uint8Array(20)) → text
Napi::Value format_address_bytes(const Napi::CallbackInfo& info) {
  Address address;
  address.family = static_cast<uint8_t>(info[0].As<Napi::Number>().Uint32Value());
  const uint8_t* bytes = info[1].As<Napi::Uint8Array>().Data();
  std::memcpy(address.bytes, bytes, 16);
  std::memcpy(&address.scope_id, bytes + 16, 4);
  return Napi::String::New(info.Env(), format_address(address));
}

// fdType(fd) → as fd_type()
Napi::Value fd_type_name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), fd_type(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Value features_object(const Napi::CallbackInfo& info) {
  Napi::Object out = Napi::Object::New(info.Env());
  Features features = probe_features();
  out.Set("recvmmsg", features.mmsg);
  out.Set("sendmmsg", features.mmsg);
  out.Set("epoll", features.epoll);
  out.Set("gro", features.gro);
  out.Set("gso", features.gso);
  out.Set("kernelDrops", features.kernel_drops);
  out.Set("ipv6", features.ipv6);
  return out;
}

}  // namespace

void define_module_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("parseAddress", Napi::Function::New<parse_address_text>(env));
  exports.Set("formatAddress", Napi::Function::New<format_address_bytes>(env));
  exports.Set("fdType", Napi::Function::New<fd_type_name>(env));
  exports.Set("features", Napi::Function::New<features_object>(env));
  exports.Set("layoutHash", Napi::Number::New(env, kLayoutHash));
}

}  // namespace ksocket
