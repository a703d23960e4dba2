// An exception that a callback from native code left behind.
#pragma once

#include <napi.h>

namespace ksocket {

// Makes it an 'uncaughtException', as an event handler's has to be. (Before Node-API 10 the runtime by itself
// only warns of exceptions in thread-safe functions: DEP0168.)
inline void rethrow_as_uncaught(napi_env env) {
  napi_value error;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

}  // namespace ksocket
