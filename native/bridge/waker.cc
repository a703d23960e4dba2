#include "bridge/waker.h"

#include <utility>

#include "bridge/exception.h"

namespace ksocket {

napi_status Waker::open(napi_env env, napi_value on_wake) {
  napi_value name;
  napi_status status = napi_create_string_utf8(env, "ksocket", NAPI_AUTO_LENGTH, &name);
  if (status != napi_ok) return status;
  status = napi_create_threadsafe_function(env, on_wake, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                           &Waker::call, &function_);
  if (status == napi_ok) unref(env);
  return status;
}

void Waker::close() {
  if (auto function = std::exchange(function_, nullptr))
    napi_release_threadsafe_function(function, napi_tsfn_abort);
}

void Waker::call(napi_env env, napi_value on_wake, void*, void*) {
  if (env == nullptr || on_wake == nullptr) return;  // the environment is going down
  napi_value undefined;
  napi_get_undefined(env, &undefined);
  if (napi_call_function(env, undefined, on_wake, 0, nullptr, nullptr) != napi_pending_exception) return;
  rethrow_as_uncaught(env);
}

}  // namespace ksocket
