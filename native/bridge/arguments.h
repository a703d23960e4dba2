// JavaScript's arguments as native values, and results back. lib/ has checked them, so nothing here does.
//
// Not by napi.h's classes: where Node-API has refused to read something they have a value without an
// environment, and abort the process over the next question.
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

// What is no such value is 0, false or nothing.
inline uint32_t u32(const Napi::Value& value) {
  uint32_t out = 0;
  napi_get_value_uint32(value.Env(), value, &out);
  return out;
}
inline int32_t i32(const Napi::Value& value) {
  int32_t out = 0;
  napi_get_value_int32(value.Env(), value, &out);
  return out;
}
inline bool boolean(const Napi::Value& value) {
  bool out = false;
  napi_get_value_bool(value.Env(), value, &out);
  return out;
}
inline std::string text(const Napi::Value& value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(value.Env(), value, nullptr, 0, &length) != napi_ok) return {};
  std::string out(length, '\0');
  napi_get_value_string_utf8(value.Env(), value, out.data(), length + 1, &length);
  return out;
}
// A Uint8Array's; they are JavaScript's again when the call returns.
inline std::span<uint8_t> bytes(const Napi::Value& value) {
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(value.Env(), value, nullptr, &length, &data, nullptr, nullptr);
  return {static_cast<uint8_t*>(data), length};
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

// Reads objects and arrays, which Node-API refuses while a worker is being ended: its JavaScript, and with it
// a call from there, goes on for a moment. What could not be read is nothing, and then the call has to return
// error() before it does anything.
class Reader {
 public:
  explicit Reader(napi_env env) : env_(env) {}

  Napi::Value get(const Napi::Value& object, const char* name) {
    napi_value value = nullptr;
    note(napi_get_named_property(env_, object, name, &value));
    return {env_, value};
  }
  std::vector<Napi::Value> elements(const Napi::Value& array) {
    uint32_t length = 0;
    note(napi_get_array_length(env_, array, &length));
    std::vector<Napi::Value> out;
    for (uint32_t i = 0; i < length; i++) {
      napi_value value = nullptr;
      note(napi_get_element(env_, array, i, &value));
      out.emplace_back(env_, value);
    }
    return out;
  }
  // 0, or -ECANCELED.
  int error() const { return error_; }

 private:
  void note(napi_status status) {
    if (status != napi_ok) error_ = -ECANCELED;
  }

  const napi_env env_;
  int error_ = 0;
};

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
inline int address_of(Reader& reader, const Napi::Value& given, Address* out) {
  auto family = static_cast<uint8_t>(u32(reader.get(given, "family")));
  Napi::Value address = reader.get(given, "address");
  Napi::Value port = reader.get(given, "port");
  return reader.error() != 0 ? reader.error() : address_of(family, address, port, out);
}

inline Napi::Value number(Napi::Env env, int value) {
  return Napi::Number::New(env, value);
}
inline Napi::Value number(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

}  // namespace ksocket
