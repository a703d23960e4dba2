#include "bridge/uv_handle.h"

#include <dlfcn.h>

namespace ksocket {

namespace {

template <typename Function>
void look_up(const char* name, Function* out) {
  *out = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

const Libuv& libuv() {
  static const Libuv found = [] {
    Libuv uv{};
    look_up("uv_poll_init", &uv.poll_init);
    look_up("uv_poll_start", &uv.poll_start);
    look_up("uv_prepare_init", &uv.prepare_init);
    look_up("uv_prepare_start", &uv.prepare_start);
    look_up("uv_prepare_stop", &uv.prepare_stop);
    look_up("uv_close", &uv.close);
    look_up("uv_unref", &uv.unref);
    look_up("uv_backend_fd", &uv.backend_fd);
    return uv;
  }();
  return found;
}

}  // namespace ksocket
