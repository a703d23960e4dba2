// IoThread, as far as it shares its work with an event loop (core/sharing/loop_share.h): who receives now,
// when that changes, and the sockets that the engine does not watch yet.
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "core/base/clock.h"
#include "core/thread/io_thread.h"

namespace ksocket {

namespace {

// At 100 000 datagrams a second this is 25 of them, a tenth of what a socket's default buffer holds. A loop
// that keeps coming gets more: each of our own wake-ups costs as much as a datagram or two.
constexpr long kGraceNs = 250'000;
constexpr long kGraceMaxNs = 1'000'000;
// In saturation datagrams are lost whatever we do; the loop may have to wait for a processor itself.
constexpr long kGraceSaturatedNs = 4'000'000;
// A loop that comes as often as that within kGraceMaxNs is looked after without the kernel's help.
constexpr uint64_t kBusyRounds = 8;
// So long after the last full round of the loop there is none any more.
constexpr uint64_t kSaturatedUs = 50'000;

}  // namespace

// ---- the I/O thread and a loop that may be at work

// Deals with the timer of fresh sockets, if it is one of these events; how many others there are.
int IoThread::take_timer(std::span<Event> events) {
  auto at = std::find_if(events.begin(), events.end(),
                         [](const Event& event) { return event.token == kFreshTimerToken; });
  if (at == events.end()) return static_cast<int>(events.size());
  std::rotate(at, at + 1, events.end());
  on_fresh_timer();
  return static_cast<int>(events.size()) - 1;
}

// The kernel wakes us for a shared socket when the event loop is not asleep. Mostly it is just at work and
// will look for itself in a moment; it gets that moment, and another one as long as it does (in saturation
// also while it only reads what is in the ring). True when we waited: then ask again what is ready.
bool IoThread::leave_to_loop(std::span<const Event> events) {
  if (!loop_mode_.load(std::memory_order_relaxed) || events.empty()) return false;
  if (events.size() == 1 && events[0].token == kFreshTimerToken) return false;
  if (stopping_.load() || resume_asked_.load()) return false;
  uint32_t consumed = ring_.consumed();
  bool saturated = loop_policy_.saturated() && now_us() - loop_full_us_.load() < kSaturatedUs;
  bool reads = saturated && std::exchange(loop_consumed_, consumed) != consumed;
  if (loop_stuck_.load(std::memory_order_relaxed) && !reads) return false;
  for (const Event& event : events) {
    std::shared_ptr<Endpoint> endpoint = find(static_cast<uint32_t>(event.token));
    if (event.writable || (endpoint && !endpoint->shared.load(std::memory_order_relaxed))) return false;
  }
  loop_stuck_.store(true, std::memory_order_relaxed);  // until it shows up
  grace_ns_ = std::clamp(grace_ns_, kGraceNs, kGraceMaxNs);
  timespec grace{0, saturated ? kGraceSaturatedNs : grace_ns_};
  nanosleep(&grace, nullptr);
  bool came = !loop_stuck_.load(std::memory_order_relaxed);
  grace_ns_ = came ? grace_ns_ * 2 : 0;
  if (came && !saturated) doze();
  return true;
}

// While the loop comes all the time it would find us waiting with almost every datagram that arrives when it
// is at work, and whoever sends, often the same JavaScript thread, would pay for our wake-up. So we rather
// look from time to time whether it still does.
void IoThread::doze() {
  uint64_t rounds, before;
  do {
    if (sole_duties_.load() > 0 || !loop_mode_.load() || stopping_.load() || resume_asked_.load()) return;
    before = counters_.get(Counter::loop_rounds);
    timespec grace{0, kGraceMaxNs};
    nanosleep(&grace, nullptr);
    rounds = counters_.get(Counter::loop_rounds) - before;
  } while (rounds >= kBusyRounds);
}

// How long to sleep before the next round, in microseconds; and who receives it.
uint32_t IoThread::next_pause(bool caught_up) {
  auto [received, full] = rx_.take_round();
  if (received == 0 || options_.busy_poll_us > 0 || options_.moderation.usecs_max == 0) return 0;
  if (loop_mode_) {  // the event loop was busy, or a burst came
    moderation_.observe(received, now_us());
    if (loop_policy_.should_leave_after_thread_round(received, moderation_.per_ms())) leave_loop_mode();
    return 0;
  }
  bool waited = moderation_.waited();
  uint32_t pause_us = moderation_.after(received, now_us());
  LoopPolicy::ThreadRound round{received, full, waited, moderation_.futile(), caught_up};
  if (loop_ && loop_policy_.should_return(round, moderation_.per_ms())) {
    loop_full_us_.store(now_us());
    enter_loop_mode();
    return 0;
  }
  if (pause_us > 0) counters_.add(Counter::moderations, 1);
  return pause_us;
}

// ---- who receives

void IoThread::share(const LoopPoll& loop) {
  if (!engine_->traits().exclusive) return;
  loop_ = loop;
  loop_mode_ = true;
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  places_max_ = std::min<size_t>(kPlacesMax, descriptors.rlim_cur / 16);
  fresh_.open(*engine_);
}

// True when the loop, or the timer of fresh sockets, makes it unnecessary that the engine watches it at once.
bool IoThread::start_sharing(Endpoint& endpoint) {
  std::shared_ptr<Endpoint> self = find(endpoint.id);
  LoopLock lock(*this);
  bool on_loop = take_place(self);
  if (endpoint.shared && !on_loop) return false;
  if (!keep_fresh(self)) return false;
  if (!on_loop) loop_.ask_before_poll();
  return true;
}

void IoThread::stop_sharing(Endpoint& endpoint) {
  LoopLock lock(*this);
  fresh_.remove(endpoint);
  if (!endpoint.shared) return;
  if (loop_mode_) unshare(loop_.epoll_fd, endpoint.fd.get());
  places_[endpoint.loop_place].endpoint.reset();
  free_places_.push_back(endpoint.loop_place);
}

// The socket gets a place among the shared ones, if there is one. True: the loop watches it now. The caller
// holds work_mutex_.
bool IoThread::take_place(const std::shared_ptr<Endpoint>& endpoint) {
  if (free_places_.empty() && places_.size() < places_max_) {
    int data_fd = loop_.add_place();
    if (data_fd < 0) return false;
    free_places_.push_back(static_cast<uint32_t>(places_.size()));
    places_.push_back({data_fd, nullptr});
  }
  if (free_places_.empty()) return false;
  uint32_t number = free_places_.back();
  LoopPlace& place = places_[number];
  // It fails for a descriptor that libuv watches, too: then it is the thread's alone.
  if (share_with_loop(loop_.epoll_fd, place.data_fd, endpoint->fd.get()) != 0) return false;
  free_places_.pop_back();
  place.endpoint = endpoint;
  endpoint->loop_place = number;
  endpoint->shared = true;
  if (!loop_mode_) unshare(loop_.epoll_fd, endpoint->fd.get());
  return loop_mode_;
}

// The caller holds work_mutex_ and interest_mutex.
void IoThread::give_up_place(Endpoint& endpoint) {
  places_[endpoint.loop_place].endpoint.reset();
  free_places_.push_back(endpoint.loop_place);
  endpoint.shared = false;
  set_sole_duty(endpoint, endpoint.watched && endpoint.interest != kNothing);
}

// ---- sockets that the engine does not watch yet

// False when it has to now. The caller holds work_mutex_.
bool IoThread::keep_fresh(const std::shared_ptr<Endpoint>& endpoint) {
  {
    std::lock_guard lock(endpoint->interest_mutex);
    endpoint->interest = kReadable;
  }
  return fresh_.add(endpoint);
}

// The sockets that the engine will not watch, and why. From any thread.
IoThread::Refused IoThread::end_freshness(const FreshSockets::List& fresh) {
  Refused refused;
  for (const auto& endpoint : fresh) {
    int error = set_interest(*endpoint, kNothing, kNothing);
    if (error != 0) refused.emplace_back(endpoint, error);
  }
  return refused;
}

// Their owners hear of it, once, as of a receive error; the timer tries again. The caller holds work_mutex_.
void IoThread::report(const Refused& refused) {
  for (const auto& [endpoint, error] : refused) {
    if (endpoint->closing.load()) continue;
    fresh_.add(endpoint);
    if (std::exchange(endpoint->refusal_told, true)) continue;
    endpoint->counters.add(Counter::rx_errors, 1);
    Descriptor& record = completions_.emplace_back();
    record.socket_id = endpoint->id;
    record.kind = DescriptorKind::error;
    record.result = error;
  }
  if (!completions_.empty()) put_completions();
}

void IoThread::before_poll() {
  LoopLock lock(*this);
  report(end_freshness(fresh_.take_unshared()));
}

// Not under the lock: the loop may be making the next thousand.
void IoThread::on_fresh_timer() {
  FreshSockets::List fresh;
  {
    std::lock_guard lock(work_mutex_);
    fresh_.on_timer();
    fresh = fresh_.take();
  }
  Refused refused = end_freshness(fresh);
  if (refused.empty()) return;
  std::lock_guard lock(work_mutex_);
  report(refused);
}

// Before we receive from others: the loop is busy, and would read what came to a fresh socket behind what
// came to them later. The caller holds work_mutex_.
void IoThread::receive_from_fresh() {
  FreshSockets::List fresh = fresh_.take();
  report(end_freshness(fresh));
  for (const auto& endpoint : fresh) {
    if (endpoint->shared.load(std::memory_order_relaxed)) receive(endpoint);
  }
}

// Exclusive waiters are woken in the order in which they were added: the loop first, then the thread.
void IoThread::enter_loop_mode() {
  loop_mode_ = true;
  for (const LoopPlace& place : places_) {
    std::shared_ptr<Endpoint> endpoint = place.endpoint;
    if (!endpoint) continue;
    std::lock_guard lock(endpoint->interest_mutex);
    if (!endpoint->fd) continue;
    if (share_with_loop(loop_.epoll_fd, place.data_fd, endpoint->fd.get()) != 0) {
      give_up_place(*endpoint);
      continue;
    }
    if (endpoint->watched) engine_->change(endpoint->fd.get(), endpoint->id, endpoint->interest);
  }
}

void IoThread::leave_loop_mode() {
  loop_mode_ = false;
  report(end_freshness(fresh_.take()));
  for (const auto& [data_fd, endpoint] : places_) {
    if (!endpoint) continue;
    std::lock_guard lock(endpoint->interest_mutex);
    if (!endpoint->fd) continue;
    unshare(loop_.epoll_fd, endpoint->fd.get());
    // Of what made the loop wake up our own epoll instance was never told, and the loop may not have read it
    // all: added anew, the entry is checked for readiness.
    if (endpoint->watched) engine_->change(endpoint->fd.get(), endpoint->id, endpoint->interest);
  }
}

bool IoThread::receive_on_loop(uint32_t place) {
  loop_stuck_.store(false, std::memory_order_relaxed);
  LoopLock lock(*this);
  std::shared_ptr<Endpoint> endpoint = places_[place].endpoint;
  if (!endpoint) return false;
  RxLoop::Outcome outcome;
  {
    std::lock_guard rx_lock(endpoint->rx_mutex);
    outcome = rx_.receive(*endpoint);
  }
  if (outcome == RxLoop::Outcome::dead) {
    unshare(loop_.epoll_fd, endpoint->fd.get());
    set_interest(*endpoint, kNothing, kReadable | kWritable);
  }
  counters_.add(Counter::loop_rounds, 1);
  bool something = ring_.has_unpublished();
  if (something) ring_.publish();
  note_loop_round();
  // A full ring is no reason to pause: the reader is about to empty it.
  return something || outcome == RxLoop::Outcome::full;
}

void IoThread::note_loop_round() {
  auto [received, full] = rx_.take_round();
  if (!loop_mode_ || received == 0) return;
  uint64_t now = now_us();
  if (full) loop_full_us_.store(now);
  moderation_.observe(received, now);
  if (loop_policy_.should_leave_after_loop_round(received, full, moderation_.per_ms())) leave_loop_mode();
}

}  // namespace ksocket
