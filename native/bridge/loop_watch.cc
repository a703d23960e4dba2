#include "bridge/loop_watch.h"

#include <dlfcn.h>
#include <sys/eventfd.h>
#include <uv.h>

#include <utility>

#include "bridge/exception.h"
#include "core/base/fd.h"

namespace ksocket {

namespace {

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

template <typename Function>
void look_up(const char* name, Function* out) {
  *out = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

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

template <typename Handle>
uv_handle_t* as_handle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

}  // namespace

struct LoopWatch::Handle {
  uv_poll_t poll;
  Fd event;
  LoopWatch* owner;
  uint32_t place;
};

bool LoopWatch::open(napi_env env, napi_value on_ready, std::function<bool(uint32_t)> receive,
                     std::function<void()> before_poll) {
  const Libuv& uv = libuv();
  uv_loop_t* loop = nullptr;
  if (!uv.complete() || napi_get_uv_event_loop(env, &loop) != napi_ok || loop == nullptr) return false;
  epoll_fd_ = uv.backend_fd(loop);
  if (epoll_fd_ < 0) return false;

  napi_value name;
  napi_create_string_utf8(env, "ksocket", NAPI_AUTO_LENGTH, &name);
  napi_value resource;
  napi_create_object(env, &resource);
  napi_create_reference(env, resource, 1, &resource_);
  napi_async_init(env, resource, name, &context_);
  napi_create_reference(env, on_ready, 1, &on_ready_);
  env_ = env;
  receive_ = std::move(receive);
  before_poll_ = std::move(before_poll);
  prepare_ = new uv_prepare_t;
  uv.prepare_init(loop, prepare_);
  prepare_->data = this;
  uv.unref(as_handle(prepare_));
  loop_ = loop;
  return true;
}

void LoopWatch::ask_before_poll() {
  libuv().prepare_start(prepare_, [](uv_prepare_t* prepare) {
    libuv().prepare_stop(prepare);
    static_cast<LoopWatch*>(prepare->data)->before_poll_();
  });
}

void LoopWatch::on_poll(uv_poll_t* poll, int status, int) {
  const auto* handle = static_cast<Handle*>(poll->data);
  if (handle->owner == nullptr) return;
  // libuv takes a socket's pending error (an ICMP message) for one of the handle, and has stopped it.
  if (status != 0) libuv().poll_start(poll, UV_READABLE, &LoopWatch::on_poll);
  handle->owner->ready(handle->place);
}

int LoopWatch::add_place() {
  const Libuv& uv = libuv();
  Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return -1;
  auto* handle = new Handle{{}, std::move(event), this, static_cast<uint32_t>(handles_.size())};
  if (uv.poll_init(loop_, &handle->poll, handle->event.get()) != 0) {
    delete handle;
    return -1;
  }
  handle->poll.data = handle;
  uv.unref(as_handle(&handle->poll));  // whether the loop goes on is the waker's business
  uv.poll_start(&handle->poll, UV_READABLE, &LoopWatch::on_poll);
  handles_.push_back(handle);
  return handle->event.get();
}

void LoopWatch::close() {
  if (std::exchange(loop_, nullptr) == nullptr) return;
  libuv().close(as_handle(prepare_),
                [](uv_handle_t* closed) { delete reinterpret_cast<uv_prepare_t*>(closed); });
  for (Handle* handle : std::exchange(handles_, {})) {
    handle->owner = nullptr;
    // libuv stops watching within uv_close(); only the handle's memory is still its own for a while.
    libuv().close(as_handle(&handle->poll),
                  [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
    handle->event.reset();
  }
  napi_delete_reference(env_, on_ready_);
  napi_delete_reference(env_, resource_);
  napi_async_destroy(env_, context_);
}

void LoopWatch::ready(uint32_t place) {
  if (!receive_(place)) return;
  napi_env env = env_;  // the listener may close us
  napi_handle_scope handles;
  napi_open_handle_scope(env, &handles);
  napi_value on_ready, receiver, resource;
  napi_get_reference_value(env, on_ready_, &on_ready);
  napi_get_reference_value(env, resource_, &resource);
  napi_get_global(env, &receiver);
  // Not napi_make_callback: what a listener threw has to be reported while the scope is open, as reporting it
  // unwinds the async contexts that the scope's end would otherwise find in disorder.
  napi_callback_scope scope;
  if (napi_open_callback_scope(env, resource, context_, &scope) == napi_ok) {
    if (napi_call_function(env, receiver, on_ready, 0, nullptr, nullptr) == napi_pending_exception) {
      rethrow_as_uncaught(env);
    }
    napi_close_callback_scope(env, scope);
  }
  napi_close_handle_scope(env, handles);
}

}  // namespace ksocket
