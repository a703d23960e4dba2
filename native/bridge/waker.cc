#include "bridge/waker.h"

#include <utility>

#include "bridge/exception.h"

namespace ksocket {

napi_status Waker::open(napi_env env, RingReader& reader, napi_value resource,
                        std::shared_ptr<AsyncContext> context) {
  napi_value name;
  napi_status status = napi_create_string_utf8(env, "ksocket", NAPI_AUTO_LENGTH, &name);
  if (status != napi_ok) return status;
  status = napi_create_threadsafe_function(env, nullptr, resource, name, 0, 1, nullptr, nullptr, &reader,
                                           &Waker::call, &function_);
  if (status != napi_ok) return status;
  unref(env);
  uv_loop_t* loop = context ? libuv_loop(env) : nullptr;
  if (loop != nullptr) bell_.open(loop, [env, &reader, context] { reader.read_in(env, context); });
  return napi_ok;
}

void Waker::close() {
  bell_.close();
  if (auto function = std::exchange(function_, nullptr))
    napi_release_threadsafe_function(function, napi_tsfn_abort);
}

void Waker::call(napi_env env, napi_value, void* reader, void*) {
  if (env == nullptr) return;  // the environment is going down
  if (static_cast<RingReader*>(reader)->read(env, nullptr) == napi_pending_exception)
    rethrow_as_uncaught(env);
}

}  // namespace ksocket
