// What the addon offers beside the I/O thread: addresses between text and bytes, engines, and what this
// kernel can do.
#pragma once

#include <napi.h>

namespace ksocket {

void define_module_functions(Napi::Env env, Napi::Object exports);

}  // namespace ksocket
