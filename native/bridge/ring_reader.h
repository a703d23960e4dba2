// Calls JavaScript to read the receive ring (lib/thread/receiver.ts). After a rest the only record there is,
// if it is nothing but a datagram, comes along: a program that hears little runs all that is between the
// kernel and its listener before V8 has compiled it, so there is less of it in JavaScript.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

#include "core/memory/rx_ring.h"
#include "core/socket/address.h"

namespace ksocket {

class RingReader {
 public:
  // `on_wake()` reads the ring; `on_lone(data, id, address, family, port)` the next record, which is this.
  // False: it did not, and on_wake() has to.
  void open(napi_env env, const RingMemory& ring, napi_value on_wake, napi_value on_lone);
  void close(napi_env env);

  // JavaScript may leave an exception behind: napi_pending_exception. In a handle scope.
  napi_status read(napi_env env);

 private:
  static constexpr size_t kArguments = 5;
  const Descriptor* lone_datagram();
  bool arguments_of(napi_env env, const Descriptor& record, napi_value* arguments);
  napi_status call(napi_env env, napi_ref function, size_t count, napi_value* arguments, napi_value* result);
  napi_value name_of(napi_env env, Address address);

  RingMemory ring_;
  napi_ref on_wake_ = nullptr;
  napi_ref on_lone_ = nullptr;
  // Who sends little is mostly the one who has sent before: his address as text is in here.
  napi_ref names_ = nullptr;
  Address named_;
  // So many lone datagrams of this socket are not told.
  uint32_t skip_ = 0;
  uint32_t skipped_id_ = 0;
  std::shared_ptr<bool> open_;  // outlives us on the stack of a call whose listeners close us
};

}  // namespace ksocket
