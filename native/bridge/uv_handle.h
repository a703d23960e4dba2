// libuv's handles with an owner, and the functions that the bridge calls on them.
#pragma once

#include <napi.h>
#include <uv.h>

#include <memory>
#include <type_traits>

namespace ksocket {

// The functions in use, without the uv_ before them.
#define KSOCKET_LIBUV(X) \
  X(poll_init)           \
  X(poll_start)          \
  X(poll_stop)           \
  X(prepare_init)        \
  X(prepare_start) X(prepare_stop) X(idle_init) X(idle_start) X(idle_stop) X(close) X(unref) X(backend_fd)

// Looked up by name: other runtimes load this addon too, and have no libuv.
struct Libuv {
#define X(name) decltype(&uv_##name) name;
  KSOCKET_LIBUV(X)
#undef X

  // Are all of them there?
  bool complete() const {
#define X(name) \
  if (name == nullptr) return false;
    KSOCKET_LIBUV(X)
#undef X
    return true;
  }
};
const Libuv& libuv();
// This environment's loop, or null where there is no libuv.
uv_loop_t* libuv_loop(napi_env env);

// `Handle`: one of libuv's, or a struct that begins with one.
template <typename Handle>
uv_handle_t* as_uv_handle(Handle* handle) {
  static_assert(std::is_standard_layout_v<Handle>);
  return reinterpret_cast<uv_handle_t*>(handle);
}

// Does one of libuv's handles of this environment watch the descriptor? Only where there is a libuv.
bool is_watched_by_loop(napi_env env, int fd);

// uv_close() stops a handle at once, but its memory is libuv's until it has called back.
struct UvClose {
  template <typename Handle>
  void operator()(Handle* handle) const {
    libuv().close(as_uv_handle(handle),
                  [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
  }
};

// Owns a handle from its uv_…_init() on. Let go on the loop's thread.
template <typename Handle>
using UvHandle = std::unique_ptr<Handle, UvClose>;

}  // namespace ksocket
