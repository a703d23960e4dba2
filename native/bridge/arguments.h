// JavaScript's arguments as native values, and results back. lib/ has checked them, so nothing here does.
#pragma once

#include <linux/filter.h>
#include <napi.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "core/socket/address.h"

namespace ksocket {

inline uint32_t u32(const Napi::Value& value) {
  return value.As<Napi::Number>().Uint32Value();
}
inline int32_t i32(const Napi::Value& value) {
  return value.As<Napi::Number>().Int32Value();
}
inline bool boolean(const Napi::Value& value) {
  return value.As<Napi::Boolean>().Value();
}
inline std::string text(const Napi::Value& value) {
  return value.As<Napi::String>().Utf8Value();
}
// A Uint8Array's; they are JavaScript's again when the call returns.
inline std::span<uint8_t> bytes(const Napi::Value& value) {
  Napi::Uint8Array array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}
// A number is an int, a Uint8Array what it is.
class OptionValue {
 public:
  explicit OptionValue(const Napi::Value& value)
      : number_(value.IsNumber() ? i32(value) : 0),
        bytes_(value.IsNumber() ? std::span<uint8_t>() : ksocket::bytes(value)),
        is_number_(value.IsNumber()) {}
  std::span<const uint8_t> bytes() const {
    if (is_number_) return {reinterpret_cast<const uint8_t*>(&number_), sizeof number_};
    return bytes_;
  }

 private:
  int32_t number_;
  std::span<uint8_t> bytes_;
  bool is_number_;
};
inline std::vector<Napi::Value> elements(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<Napi::Value> out;
  for (uint32_t i = 0; i < array.Length(); i++) out.push_back(array.Get(i));
  return out;
}

// An array of `struct sock_filter`. 0, or -EINVAL for what is none, or too long.
inline int instructions(std::span<const uint8_t> given, std::vector<sock_filter>* out) {
  if (given.size() % sizeof(sock_filter) != 0) return -EINVAL;
  if (given.size() / sizeof(sock_filter) > BPF_MAXINSNS) return -EINVAL;
  out->resize(given.size() / sizeof(sock_filter));
  if (!given.empty()) std::memcpy(out->data(), given.data(), given.size());
  return 0;
}

// 0 or -errno. `family`: 4 or 6.
inline int address_of(uint8_t family, const Napi::Value& address, const Napi::Value& port, Address* out) {
  return parse_address(family, text(address), static_cast<uint16_t>(u32(port)), out);
}
// The same of { family, address, port }.
inline int address_of(const Napi::Value& value, Address* out) {
  Napi::Object given = value.As<Napi::Object>();
  return address_of(static_cast<uint8_t>(u32(given.Get("family"))), given.Get("address"), given.Get("port"),
                    out);
}

inline Napi::Value number(Napi::Env env, int value) {
  return Napi::Number::New(env, value);
}
inline Napi::Value number(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

}  // namespace ksocket
