#include "bridge/bell.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace ksocket {

namespace {

// The thread goes without a bell, but not without what it still opens itself, nor its first socket without a
// descriptor.
bool leaves_enough(int any) {
  Fd of_thread(fcntl(any, F_DUPFD_CLOEXEC, 0));
  Fd of_socket(fcntl(any, F_DUPFD_CLOEXEC, 0));
  return of_thread && of_socket;
}

}  // namespace

bool Bell::open(uv_loop_t* loop, std::function<void()> heard) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  Fd ours(ends[1]);
  std::unique_ptr<Rope> made(new Rope{{}, Fd(ends[0]), this});
  if (!leaves_enough(ends[0])) return false;
  if (libuv().poll_init(loop, &made->poll, ends[0]) != 0) return false;
  made->poll.data = made.get();
  rope_.reset(made.release());
  libuv().unref(as_uv_handle(rope_.get()));  // whether the loop goes on is the waker's business
  if (libuv().poll_start(&rope_->poll, UV_READABLE, &Bell::on_poll) != 0) {
    close();
    return false;
  }
  heard_ = std::move(heard);
  our_end_ = std::move(ours);
  return true;
}

// A pipe that is full rings already.
bool Bell::ring() const {
  if (!our_end_) return false;
  char stroke = 0;
  [[maybe_unused]] ssize_t written = write(our_end_.get(), &stroke, sizeof stroke);
  return true;
}

void Bell::close() {
  our_end_.reset();
  if (!rope_) return;
  rope_->owner = nullptr;
  Fd end = std::move(rope_->end);  // closed here, once libuv watches it no more
  rope_.reset();
}

void Bell::on_poll(uv_poll_t* poll, int, int) {
  auto* rope = static_cast<Rope*>(poll->data);
  if (rope->owner == nullptr) return;
  // One stroke is what there mostly is; what is left rings once more.
  char strokes[16];
  [[maybe_unused]] ssize_t got = read(rope->end.get(), strokes, sizeof strokes);
  rope->owner->heard_();
}

}  // namespace ksocket
