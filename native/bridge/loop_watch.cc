#include "bridge/loop_watch.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <utility>

#include "core/base/clock.h"
#include "core/sharing/limits.h"

namespace ksocket {

namespace {

// A timer waits no longer than this for a loop that looks for datagrams.
constexpr uint64_t kSliceNs = 20'000;

// Threads of the environment whose loop is not to sleep: they take turns.
thread_local uint32_t awake = 0;

}  // namespace

bool LoopWatch::open(napi_env env, RingReader& reader, std::shared_ptr<AsyncContext> context,
                     uint32_t busy_poll_us, Calls calls) {
  uv_loop_t* loop = libuv_loop(env);
  if (loop == nullptr) return false;
  const Libuv& uv = libuv();
  epoll_fd_ = uv.backend_fd(loop);
  if (epoll_fd_ < 0) return false;

  context_ = std::move(context);
  reader_ = &reader;
  env_ = env;
  calls_ = std::move(calls);
  open_ = std::make_shared<bool>(true);
  prepare_.reset(new uv_prepare_t);
  uv.prepare_init(loop, prepare_.get());
  prepare_->data = this;
  uv.unref(as_uv_handle(prepare_.get()));
  busy_poll_ns_ = uint64_t{busy_poll_us} * 1000;
  idle_.reset(new uv_idle_t);
  uv.idle_init(loop, idle_.get());
  idle_->data = this;
  uv.unref(as_uv_handle(idle_.get()));
  loop_ = loop;
  return true;
}

void LoopWatch::ask_before_poll() {
  libuv().prepare_start(prepare_.get(), [](uv_prepare_t* prepare) {
    libuv().prepare_stop(prepare);
    static_cast<LoopWatch*>(prepare->data)->calls_.before_poll();
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

bool LoopWatch::tell_writable(uint32_t id, int fd) {
  if (loop_ == nullptr) return false;
  const Libuv& uv = libuv();
  UvHandle<Writer>& writer = writers_[id];
  if (!writer) {
    Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    std::unique_ptr<Writer> made(new Writer{{}, std::move(copy), this, id, false, false});
    if (!made->copy || uv.poll_init(loop_, &made->poll, made->copy.get()) != 0) {
      writers_.erase(id);
      return false;
    }
    made->poll.data = made.get();
    writer.reset(made.release());
    uv.unref(as_uv_handle(writer.get()));
  }
  writer->wanted = true;
  if (!writer->started)
    writer->started = uv.poll_start(&writer->poll, UV_WRITABLE, &LoopWatch::on_writable) == 0;
  return writer->started;
}

// Also of an error that waits there: to send is to hear of it. Then libuv has stopped the handle.
void LoopWatch::on_writable(uv_poll_t* poll, int status, int) {
  auto* writer = static_cast<Writer*>(poll->data);
  if (status != 0) writer->started = false;
  if (writer->owner != nullptr) writer->owner->writable(writer->id);
}

void LoopWatch::writable(uint32_t id) {
  std::shared_ptr<bool> open = open_;
  writers_[id]->wanted = false;
  if (calls_.writable(id)) reader_->read_in(env_, context_);
  if (!*open) return;
  auto at = writers_.find(id);
  if (at == writers_.end() || at->second->wanted) return;  // its listener has filled the peer again
  libuv().poll_stop(&at->second->poll);
  at->second->started = false;
}

void LoopWatch::forget_writer(uint32_t id) {
  auto node = writers_.extract(id);
  if (node) close_writer(std::move(node.mapped()));
}

void LoopWatch::close() {
  if (std::exchange(loop_, nullptr) == nullptr) return;
  *open_ = false;
  prepare_.reset();
  idle_.reset();
  fall_asleep();
  for (UvHandle<Place>& place : places_) {
    place->owner = nullptr;
    Fd event = std::move(place->event);  // closed here, once libuv watches it no more
    place.reset();
  }
  places_.clear();
  for (auto& [id, writer] : std::exchange(writers_, {})) close_writer(std::move(writer));
}

// As libuv reads from its sockets, each time behind the listener: the next datagram is often there by then.
void LoopWatch::ready(uint32_t place) {
  std::shared_ptr<bool> open = open_;
  bool some = calls_.receive(place);
  for (uint32_t looks = 0; some; looks++) {
    reader_->read_in(env_, context_);
    if (!*open) return;
    if (looks == kLimits.looks_in_a_row) break;
    some = calls_.look_again() == Look::found;
  }
  if (busy_poll_ns_ > 0) stay_awake();
}

void LoopWatch::stay_awake() {
  busy_until_ns_ = clock_ns(CLOCK_MONOTONIC) + busy_poll_ns_;
  if (!std::exchange(awake_, true)) awake++;
  libuv().idle_start(idle_.get(), [](uv_idle_t* idle) { static_cast<LoopWatch*>(idle->data)->busy_poll(); });
}

void LoopWatch::fall_asleep() {
  if (std::exchange(awake_, false)) awake--;
}

// In short slices, between which the loop serves timers and all else; one look each if there are several of
// us.
void LoopWatch::busy_poll() {
  uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
  for (uint64_t end_ns = now_ns + (awake == 1 ? kSliceNs : 1); now_ns < end_ns;
       now_ns = clock_ns(CLOCK_MONOTONIC)) {
    Look look = calls_.look_now();
    if (look == Look::not_now) break;
    if (look == Look::nothing) continue;
    std::shared_ptr<bool> open = open_;
    reader_->read_in(env_, context_);
    if (*open) stay_awake();
    return;
  }
  if (now_ns < busy_until_ns_) return;
  libuv().idle_stop(idle_.get());
  fall_asleep();
}

}  // namespace ksocket
