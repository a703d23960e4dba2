#include <napi.h>

#include "bridge/io_thread_object.h"
#include "bridge/module_functions.h"
#include "bridge/xdp_calls.h"

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("IoThread", ksocket::IoThreadObject::define(env));
  exports.Set("KernelAnswers", ksocket::KernelAnswersObject::define(env));
  ksocket::define_module_functions(env, exports);
  return exports;
}

NODE_API_MODULE(ksocket, init)
