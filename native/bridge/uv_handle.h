// libuv's handles with an owner, and the functions that the bridge calls on them.
#pragma once

#include <uv.h>

#include <memory>
#include <type_traits>

namespace ksocket {

// Looked up by name: other runtimes load this addon too, and have no libuv.
struct Libuv {
  decltype(&uv_poll_init) poll_init;
  decltype(&uv_poll_start) poll_start;
  decltype(&uv_prepare_init) prepare_init;
  decltype(&uv_prepare_start) prepare_start;
  decltype(&uv_prepare_stop) prepare_stop;
  decltype(&uv_close) close;
  decltype(&uv_unref) unref;
  decltype(&uv_backend_fd) backend_fd;

  bool complete() const {
    return poll_init && poll_start && prepare_init && prepare_start && prepare_stop && close && unref &&
           backend_fd;
  }
};
const Libuv& libuv();

// `Handle`: one of libuv's, or a struct that begins with one.
template <typename Handle>
uv_handle_t* as_uv_handle(Handle* handle) {
  static_assert(std::is_standard_layout_v<Handle>);
  return reinterpret_cast<uv_handle_t*>(handle);
}

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
