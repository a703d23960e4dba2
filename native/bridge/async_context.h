// An async context (async_hooks, AsyncLocalStorage): on whose behalf a callback from native code runs.
#pragma once

#include <napi.h>

#include <cstdint>
#include <utility>

#include "bridge/exception.h"

namespace ksocket {

class AsyncContext {
 public:
  AsyncContext() = default;
  AsyncContext(const AsyncContext&) = delete;

  // `resource` is what executionAsyncResource() returns while it runs something. What AsyncLocalStorage knows
  // now is known then.
  void open(napi_env env, napi_value resource, const char* type) {
    napi_value name;
    napi_create_string_utf8(env, type, NAPI_AUTO_LENGTH, &name);
    napi_create_reference(env, resource, 1, &resource_);
    napi_async_init(env, resource, name, &context_);
  }
  // While something runs in it, it ends behind that.
  void close(napi_env env) {
    closed_ = true;
    if (running_ > 0 || context_ == nullptr) return;
    napi_delete_reference(env, resource_);
    napi_async_destroy(env, std::exchange(context_, nullptr));
  }

  // Runs `work()`. It may close this context, and so may hooks (async_hooks) that are called before it and
  // behind it: whoever calls this owns it. Behind it, unless native code of a runtime is on the stack,
  // come nextTicks and microtasks.
  //
  // Not napi_make_callback: what a listener threw has to be reported while the scope is open, as reporting it
  // unwinds the async contexts that the scope's end would otherwise find in disorder.
  template <typename Work>
  void run(napi_env env, Work&& work) {
    napi_value resource;
    napi_get_reference_value(env, resource_, &resource);
    napi_callback_scope scope;
    running_++;
    if (napi_open_callback_scope(env, resource, context_, &scope) == napi_ok) {
      if (work() == napi_pending_exception) rethrow_as_uncaught(env);
      napi_close_callback_scope(env, scope);
    }
    running_--;
    if (closed_) close(env);
  }

 private:
  napi_ref resource_ = nullptr;
  napi_async_context context_ = nullptr;
  uint32_t running_ = 0;
  bool closed_ = false;
};

}  // namespace ksocket
