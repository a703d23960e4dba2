// Wakes JavaScript from the I/O thread: a thread-safe function that carries no data, because the data is in
// the ring, and that does not hold the event loop open unless asked to.
#pragma once

#include <napi.h>

#include "bridge/ring_reader.h"

namespace ksocket {

class Waker {
 public:
  ~Waker() { close(); }

  // `reader` outlives it.
  napi_status open(napi_env env, RingReader& reader, napi_value resource);
  // From any thread, until close().
  void wake() { napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking); }
  // The thread that calls wake() must be gone. Safe to call twice.
  void close();

  void ref(napi_env env) { napi_ref_threadsafe_function(env, function_); }
  void unref(napi_env env) { napi_unref_threadsafe_function(env, function_); }

 private:
  static void call(napi_env env, napi_value function, void* reader, void* data);

  napi_threadsafe_function function_ = nullptr;
};

}  // namespace ksocket
