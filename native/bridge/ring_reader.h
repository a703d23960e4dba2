// Calls JavaScript to read the receive ring (lib/thread/receiver.ts). After a rest the only record there is,
// if it is nothing but a datagram, comes along, or is announced to who wants batches: a program that hears
// little runs all that is between the kernel and its listener before V8 has compiled it, so there is less of
// it in JavaScript.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "bridge/async_context.h"
#include "core/memory/rx_ring.h"
#include "core/socket/address.h"

namespace ksocket {

class RingReader {
 public:
  // `on_wake()` reads the ring; `on_lone(data, id, address, family, port, entered)` the next record, which is
  // this, in its socket's async context if that was `entered`; `on_lone_batch(id, entered)` the same as a
  // batch. False: it did not, and on_wake() has to.
  struct Callbacks {
    napi_value on_wake, on_lone, on_lone_batch;
  };
  void open(napi_env env, const RingMemory& ring, const Callbacks& callbacks);
  void close(napi_env env);

  // From now on the lone datagrams of this socket are handed over in this async context.
  void keep_context(napi_env env, uint32_t id, std::shared_ptr<AsyncContext> context);
  void drop_context(napi_env env, uint32_t id);

  // In a handle scope. In `context`, unless it is a datagram whose socket has one; without either JavaScript
  // may leave an exception behind: napi_pending_exception.
  napi_status read(napi_env env, std::shared_ptr<AsyncContext> context);
  // The same from a callback of libuv's.
  void read_in(napi_env env, std::shared_ptr<AsyncContext> context);

 private:
  static constexpr size_t kArguments = 6;
  const Descriptor* lone_datagram();
  std::shared_ptr<AsyncContext> context_of(uint32_t id);
  napi_status hand_over(napi_env env, const Descriptor* lone, bool entered);
  enum class Wish { message, batch, neither };
  Wish wish_of(uint32_t id);
  // `read`: it did.
  napi_status tell(napi_env env, const Descriptor& lone, Wish wish, bool entered, bool* read);
  bool arguments_of(napi_env env, const Descriptor& record, bool entered, napi_value* arguments);
  napi_status call(napi_env env, napi_ref function, size_t count, napi_value* arguments, napi_value* result);
  napi_value name_of(napi_env env, Address address);

  RingMemory ring_;
  napi_ref on_wake_ = nullptr;
  napi_ref on_lone_ = nullptr;
  napi_ref on_lone_batch_ = nullptr;
  // Who sends little is mostly the one who has sent before: his address as text is in here.
  napi_ref names_ = nullptr;
  Address named_;
  // How the next lone datagrams of a socket are told, `left` of them.
  struct Said {
    uint32_t id = 0;
    Wish wish = Wish::message;
    uint32_t left = 0;
  };
  static constexpr uint32_t kWishes = 16;
  Said wishes_[kWishes];
  std::unordered_map<uint32_t, std::shared_ptr<AsyncContext>> contexts_;  // by socket
  std::shared_ptr<bool> open_;  // outlives us on the stack of a call whose listeners close us
};

}  // namespace ksocket
