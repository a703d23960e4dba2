#include "bridge/loop_watch.h"

#include <sys/eventfd.h>

#include <utility>

#include "bridge/exception.h"

namespace ksocket {

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
  prepare_.reset(new uv_prepare_t);
  uv.prepare_init(loop, prepare_.get());
  prepare_->data = this;
  uv.unref(as_uv_handle(prepare_.get()));
  loop_ = loop;
  return true;
}

void LoopWatch::ask_before_poll() {
  libuv().prepare_start(prepare_.get(), [](uv_prepare_t* prepare) {
    libuv().prepare_stop(prepare);
    static_cast<LoopWatch*>(prepare->data)->before_poll_();
  });
}

void LoopWatch::on_poll(uv_poll_t* poll, int status, int) {
  const auto* place = static_cast<Place*>(poll->data);
  if (place->owner == nullptr) return;
  // libuv takes a socket's pending error (an ICMP message) for one of the handle, and has stopped it.
  if (status != 0) libuv().poll_start(poll, UV_READABLE, &LoopWatch::on_poll);
  place->owner->ready(place->number);
}

int LoopWatch::add_place() {
  const Libuv& uv = libuv();
  Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return -1;
  auto number = static_cast<uint32_t>(places_.size());
  std::unique_ptr<Place> made(new Place{{}, std::move(event), this, number});
  if (uv.poll_init(loop_, &made->poll, made->event.get()) != 0) return -1;
  Place& place = *places_.emplace_back(made.release());
  place.poll.data = &place;
  uv.unref(as_uv_handle(&place));  // whether the loop goes on is the waker's business
  uv.poll_start(&place.poll, UV_READABLE, &LoopWatch::on_poll);
  return place.event.get();
}

void LoopWatch::close() {
  if (std::exchange(loop_, nullptr) == nullptr) return;
  prepare_.reset();
  for (UvHandle<Place>& place : places_) {
    place->owner = nullptr;
    Fd event = std::move(place->event);  // closed here, once libuv watches it no more
    place.reset();
  }
  places_.clear();
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
