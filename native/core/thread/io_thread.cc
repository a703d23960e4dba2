#include "core/thread/io_thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/clock.h"
#include "core/base/hash.h"

namespace ksocket {

namespace {

constexpr size_t kStackBytes = 512 * 1024;
// prctl(2), PR_SET_TIMERSLACK: short waits end when they should.
constexpr unsigned long kTimerSlackNs = 1000;

// A thread that never sleeps has no use for fuller batches.
Moderation::Options moderation_of(const IoThread::Options& options) {
  Moderation::Options moderation = options.moderation;
  if (options.busy_poll_us > 0) moderation.usecs_max = 0;
  return moderation;
}

}  // namespace

IoThread::IoThread(std::unique_ptr<Engine> engine, const RingMemory& memory, Counters counters,
                   Options options, std::function<void()> wake)
    : options_(options),
      engine_(std::move(engine)),
      wake_(std::move(wake)),
      counters_(counters),
      watches_(*engine_),
      ring_(memory),
      peers_(options.peers_max, random_seed()),
      turn_(*engine_, ring_, peers_, flush_, counters_),
      sharing_({*engine_, watches_, turn_, ring_, counters_}, moderation_of(options),
               {[this](Endpoint& endpoint, int error) { report(endpoint, error); },
                [this](Endpoint& endpoint, uint32_t interest) {
                  postponed_.add(find(endpoint.id), interest, watches_.retry_ns(endpoint));
                  engine_->wake();
                },
                [this](Endpoint& endpoint) {
                  work_off(find(endpoint.id));
                  put_completions();
                  engine_->wake();  // it may be told to try again later
                },
                [this] { return stopping_.load() || resume_asked_.load() || postponed_.due(); }},
               options.busy_poll_us > 0 ? kBusyLoopLimits : kLimits),
      pace_(options.busy_poll_us == 0) {
  if (options.busy_poll_us > 0) engine_->busy_poll(options.busy_poll_us);
}

int IoThread::start() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  // The process's signals are the runtime's business: the new thread inherits a full mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread_, &attributes, &IoThread::entry, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  running_ = error == 0;
  return -error;
}

void IoThread::stop() {
  if (running_) {
    stopping_.store(true);
    engine_->wake();
    pthread_join(thread_, nullptr);
    running_ = false;
  }
  // No thread is left to contend.
  sharing_.stop();
  table_.clear();
}

int IoThread::watch(Endpoint& endpoint) {
  if (!endpoint.responder) {
    if (!endpoint.sharing.shared && sharing_.add(find(endpoint.id))) return 0;
  } else if (endpoint.responder->wants_ticks()) {
    tick(endpoint);
  }
  return watches_.set(endpoint, kReadable, kNothing);
}

void IoThread::unwatch(Endpoint& endpoint) {
  LoopSharing::LoopLock lock(sharing_);  // the I/O thread is between two rounds
  sharing_.remove(endpoint);
  rewatch(find(endpoint.id), kNothing, kReadable);  // a backlog may wait for it to be writable
  endpoint.paused = true;  // until watch_again(): an event that it has in hand already is ignored
  std::erase_if(paused_, [&](const auto& weak) { return weak.lock().get() == &endpoint; });
}

void IoThread::close(uint32_t id) {
  std::shared_ptr<Endpoint> endpoint = find(id);
  if (!endpoint) return;
  endpoint->closing.store(true);
  table_.remove(id);
  // The I/O thread is in no section of theirs once the locks are ours, and finds no endpoint after that. What
  // it had received is published.
  LoopSharing::LoopLock sharing_lock(sharing_);
  if (!endpoint->responder) sharing_.remove(*endpoint);
  std::scoped_lock lock(endpoint->rx_mutex, endpoint->tx_mutex, endpoint->watch.mutex);
  watches_.forget(*endpoint);
  turn_.discard(*endpoint);
  endpoint->counters.add_atomic(Counter::tx_dropped, clear_backlogs(*endpoint));
  endpoint->responder.reset();
  if (endpoint->local) {
    endpoint->local->bound_path.reset();
    endpoint->local->drop_rights();
  }
  endpoint->fd.reset();
}

void IoThread::resume() {
  resume_asked_.store(true);
  engine_->wake();
}

// ---- the I/O thread

void* IoThread::entry(void* self) {
  pthread_setname_np(pthread_self(), "ksocket-io");
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  static_cast<IoThread*>(self)->run();
  return nullptr;
}

void IoThread::run() {
  ring_.set_thread_id(static_cast<uint32_t>(syscall(SYS_gettid)));
  Event buffer[kEventsMax];
  while (!stopping_.load(std::memory_order_relaxed)) {
    std::span<Event> events = wait(buffer);
    while (only_shared(events) && sharing_.leave_to_loop()) events = look(buffer, 0);
    events = events.first(sharing_.take_timer(events));
    uint64_t pause_ns = 0;
    bool step_aside = false;
    {
      LoopSharing::ThreadLock lock(sharing_);
      if (!events.empty()) {
        for (const auto& endpoint : sharing_.take_fresh()) receive(endpoint);
      }
      for (const Event& event : events) serve(event);
      if (resume_asked_.exchange(false)) unpause_all();
      rewatch_postponed();
      put_completions();
      bool caught_up = ring_.consumer_caught_up();
      publish();
      pause_ns = after_round(caught_up);
      step_aside = step_aside_.is_due(ring_.consumed());
    }
    ticker_.tick();
    if (pause_ns > 0) {
      sleep_ns(pause_ns);
    } else if (step_aside) {
      sched_yield();
    }
  }
  ring_.set_thread_id(0);
}

std::span<Event> IoThread::wait(std::span<Event> buffer) {
  counters_.add(Counter::waits, 1);
  if (options_.busy_poll_us > 0 && !sharing_.loop_owns()) {  // else the loop looks
    uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + uint64_t{options_.busy_poll_us} * 1000;
    do {
      std::span<Event> events = look(buffer, 0);
      if (!events.empty()) return events;
      if (has_to_go_on()) return {};
    } while (clock_ns(CLOCK_MONOTONIC) < until_ns);
  } else {
    std::span<Event> events = pace_.look([&] { return look(buffer, 0); }, [&] { return has_to_go_on(); });
    if (!events.empty() || has_to_go_on()) return events;
  }
  int tick_ms = ticker_.timeout_ms(), postponed_ms = postponed_.timeout_ms();
  return look(buffer, tick_ms < 0 || postponed_ms < 0 ? std::max(tick_ms, postponed_ms)
                                                      : std::min(tick_ms, postponed_ms));
}

std::span<Event> IoThread::look(std::span<Event> buffer, int timeout_ms) {
  int count = engine_->wait(buffer, timeout_ms);
  // Choosing the engine has tried the call: whatever this is, it is not worth all of a processor.
  if (count < 0 && count != -EINTR) sleep_ns(kPatienceMaxNs);
  return buffer.first(static_cast<size_t>(std::max(count, 0)));
}

// Nothing else, that is, of what only this thread looks after. Sockets that were just closed do not count.
bool IoThread::only_shared(std::span<const Event> events) {
  if (!sharing_.loop_owns()) return false;
  bool any = false;
  for (const Event& event : events) {
    if (event.writable) return false;
    if (event.token == kFreshTimerToken) continue;
    std::shared_ptr<Endpoint> endpoint = find(static_cast<uint32_t>(event.token));
    if (endpoint && !endpoint->sharing.shared.load(std::memory_order_relaxed)) return false;
    any = true;
  }
  return any;
}

void IoThread::serve(const Event& event) {
  std::shared_ptr<Endpoint> endpoint = find(static_cast<uint32_t>(event.token));
  if (!endpoint || endpoint->closing.load()) return;
  if (event.token & kResponderToken) {
    uint32_t key = static_cast<uint32_t>((event.token & ~kResponderToken) >> 32);
    if (endpoint->family == kLocal) return go_on_to_path(endpoint, key);
    std::lock_guard lock(endpoint->rx_mutex);
    if (endpoint->fd && endpoint->responder) endpoint->responder->ready(turn_.tools(), key);
    return;
  }
  if (event.writable) work_off(endpoint);
  if (event.readable && !endpoint->paused) receive(endpoint);
}

void IoThread::receive(const std::shared_ptr<Endpoint>& endpoint) {
  RxTurn::Outcome outcome;
  uint64_t wait_ns = 0;
  {
    std::lock_guard lock(endpoint->rx_mutex);
    if (!endpoint->fd) return;
    outcome = turn_.receive(*endpoint);
    if (outcome == RxTurn::Outcome::futile) wait_ns = endpoint->rx_backoff.next_ns(kPatienceMaxNs);
  }
  if (outcome == RxTurn::Outcome::ring_full) pause(endpoint);
  if (outcome == RxTurn::Outcome::dead) {
    rewatch(endpoint, kNothing, kReadable);
    work_off(endpoint);  // it may never be said to be writable
  }
  if (outcome == RxTurn::Outcome::futile) {
    postponed_.add(endpoint, kReadable, wait_ns);
    rewatch(endpoint, kNothing, kReadable);
  }
}

// The ring is full: leave the datagrams to the kernel's buffer until JavaScript asks for more.
void IoThread::pause(const std::shared_ptr<Endpoint>& endpoint) {
  publish();
  if (!ring_.wait_for_room([&] { return turn_.room_for(*endpoint) > 0; })) {
    // Room turned up. The flag that was just taken back is also what would have woken the others.
    unpause_all();
    return;
  }
  endpoint->paused = true;
  sharing_.on_full_ring();
  endpoint->counters.add(Counter::rx_pauses, 1);
  rewatch(endpoint, kNothing, kReadable);
  paused_.push_back(endpoint);
}

void IoThread::unpause_all() {
  if (paused_.empty()) return;
  ring_.stop_waiting();
  for (const auto& weak : paused_) {
    if (auto endpoint = weak.lock()) {
      endpoint->paused = false;
      rewatch(endpoint, kReadable, kNothing);
    }
  }
  paused_.clear();
}

// ---- what the engine is to watch

// From any thread. Where the engine refuses, it is asked again later.
void IoThread::rewatch(const std::shared_ptr<Endpoint>& endpoint, uint32_t add, uint32_t remove) {
  if (!endpoint || watches_.set(*endpoint, add, remove) == 0) return;
  postponed_.add(endpoint, kNothing, watches_.retry_ns(*endpoint));
  engine_->wake();  // it may wait without a limit already
}

void IoThread::rewatch_postponed() {
  for (const Postponed::Watch& each : postponed_.take()) {
    auto endpoint = each.endpoint.lock();
    if (!endpoint || endpoint->closing.load()) continue;
    rewatch(endpoint, endpoint->paused ? each.interest & ~kReadable : each.interest, kNothing);
    if (endpoint->family == kLocal) go_on_to_paths(endpoint);
  }
}

// ---- records that are no datagrams

// On either thread, with the lock of LoopSharing.
void IoThread::report(Endpoint& endpoint, int error) {
  Descriptor& record = completions_.emplace_back();
  record.socket_id = endpoint.id;
  record.kind = DescriptorKind::error;
  record.result = error;
  put_completions();
}

// What the ring has no room for now waits for it.
void IoThread::put_completions() {
  if (completions_.empty()) return;
  size_t put = 0;
  for (; put < completions_.size(); put++) {
    Descriptor* record = ring_.room(1, 1) > 0 ? ring_.push(0) : nullptr;
    if (record == nullptr) break;
    uint32_t offset = record->offset;
    *record = completions_[put];
    record->offset = offset;
    record->length = 0;
  }
  completions_.erase(completions_.begin(), completions_.begin() + static_cast<ptrdiff_t>(put));
  if (completions_.empty()) return;
  publish();
  // No socket may be paused, so nobody else asks for the wake-up.
  if (!ring_.wait_for_room([&] { return ring_.room(1, 1) > 0; })) resume();
}

void IoThread::publish() {
  if (!ring_.has_unpublished() || !ring_.publish()) return;
  counters_.add(Counter::wakeups, 1);
  step_aside_.on_wake(ring_.consumed());
  wake_();
}

}  // namespace ksocket
