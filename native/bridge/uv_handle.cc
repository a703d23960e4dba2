#include "bridge/uv_handle.h"

#include <dlfcn.h>

namespace ksocket {

const Libuv& libuv() {
  static const Libuv found{
#define X(name) reinterpret_cast<decltype(&uv_##name)>(dlsym(RTLD_DEFAULT, "uv_" #name)),
      KSOCKET_LIBUV(X)
#undef X
  };
  return found;
}

}  // namespace ksocket
