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

uv_loop_t* libuv_loop(napi_env env) {
  uv_loop_t* loop = nullptr;
  if (!libuv().complete() || napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
  return loop;
}

// uv_poll_init() refuses a descriptor that has a handle. To look at the epoll instance is not enough: a
// handle gets its entry only when the loop next waits, and libuv aborts the process where it finds another's.
bool is_watched_by_loop(napi_env env, int fd) {
  uv_loop_t* loop = libuv_loop(env);
  if (loop == nullptr) return false;
  std::unique_ptr<uv_poll_t> probe(new uv_poll_t);
  int error = libuv().poll_init(loop, probe.get(), fd);
  if (error == 0) UvHandle<uv_poll_t> made(probe.release());
  return error == UV_EEXIST;
}

}  // namespace ksocket
