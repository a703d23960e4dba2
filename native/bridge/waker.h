// Wakes JavaScript from the I/O thread, without data, which is in the ring: by a bell where the runtime has a
// libuv loop and the process a descriptor for it, else by a thread-safe function. The latter holds the event
// loop open, if asked to, in any case.
#pragma once

#include <napi.h>

#include <memory>

#include "bridge/async_context.h"
#include "bridge/bell.h"
#include "bridge/ring_reader.h"

namespace ksocket {

class Waker {
 public:
  ~Waker() { close(); }

  // `reader` outlives it; what is read by the bell is read in `context`. None: without a bell.
  napi_status open(napi_env env, RingReader& reader, napi_value resource,
                   std::shared_ptr<AsyncContext> context);
  // From any thread, until close().
  void wake() {
    if (!bell_.ring()) napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
  }
  // The thread that calls wake() must be gone. Safe to call twice.
  void close();

  void ref(napi_env env) { napi_ref_threadsafe_function(env, function_); }
  void unref(napi_env env) { napi_unref_threadsafe_function(env, function_); }

 private:
  static void call(napi_env env, napi_value function, void* reader, void* data);

  napi_threadsafe_function function_ = nullptr;
  Bell bell_;
};

}  // namespace ksocket
