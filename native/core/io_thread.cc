#include "core/io_thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/hash.h"

namespace ksocket {

namespace {

constexpr size_t kStackBytes = 512 * 1024;
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
// How often responders that want it look for what has timed out.
constexpr int kTickMs = 1000;

uint64_t now_us() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace

class IoThread::LoopLock {
 public:
  explicit LoopLock(IoThread& thread) : thread_(thread) {
    thread_.loop_wants_work_.fetch_add(1);
    thread_.work_mutex_.lock();
    thread_.loop_wants_work_.fetch_sub(1);
  }
  ~LoopLock() { thread_.work_mutex_.unlock(); }

 private:
  IoThread& thread_;
};

IoThread::IoThread(std::unique_ptr<Engine> engine, const RingMemory& memory, Counters counters,
                   Options options, std::function<void()> wake)
    : options_(options),
      engine_(std::move(engine)),
      wake_(std::move(wake)),
      counters_(counters),
      ring_(memory),
      peers_(options.peers_max, random_seed()),
      rx_(*engine_, ring_, peers_, flush_, counters_),
      moderation_(options.moderation) {}

IoThread::~IoThread() {
  stop();
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
  if (loop_mode_) leave_loop_mode();
  places_.clear();
  free_places_.clear();
  fresh_.take();
  std::vector<std::shared_ptr<Endpoint>> all;
  {
    std::lock_guard lock(table_mutex_);
    all.swap(table_);
  }
  // No thread is left to contend: the descriptors close as the last owners of the endpoints let go.
}

void IoThread::add(std::shared_ptr<Endpoint> endpoint) {
  uint32_t slot = endpoint->id & kSocketSlotMask;
  std::lock_guard lock(table_mutex_);
  if (slot >= table_.size()) table_.resize(slot + 1);
  table_[slot] = std::move(endpoint);
}

int IoThread::watch(Endpoint& endpoint) {
  if (endpoint.responder && endpoint.responder->wants_ticks()) {
    std::lock_guard lock(table_mutex_);
    ticking_.push_back(table_[endpoint.id & kSocketSlotMask]);
    ticks_.store(true);
    engine_->wake();  // it may wait without a limit already
  }
  if (loop_ && !endpoint.shared && !endpoint.responder) {
    std::shared_ptr<Endpoint> self = find(endpoint.id);
    LoopLock lock(*this);
    bool on_loop = take_place(self);
    if ((on_loop || !endpoint.shared) && keep_fresh(self)) {
      if (!on_loop) loop_.ask_before_poll();
      return 0;
    }
  }
  return set_interest(endpoint, kReadable, kNothing);
}

void IoThread::close(uint32_t id) {
  std::shared_ptr<Endpoint> endpoint = find(id);
  if (!endpoint) return;
  endpoint->closing.store(true);
  {
    std::lock_guard lock(table_mutex_);
    table_[id & kSocketSlotMask].reset();
  }
  if (loop_ && !endpoint->responder) {
    LoopLock lock(*this);
    fresh_.remove(*endpoint);
  }
  if (endpoint->shared) {
    LoopLock lock(*this);
    places_[endpoint->loop_place].endpoint.reset();
    free_places_.push_back(endpoint->loop_place);
    if (loop_mode_) unshare(loop_.epoll_fd, endpoint->fd.get());
  }
  // The I/O thread is in neither section once both locks are ours, and finds no endpoint after that.
  std::scoped_lock lock(endpoint->rx_mutex, endpoint->tx_mutex, endpoint->interest_mutex);
  if (endpoint->watched) engine_->unwatch(endpoint->fd.get());
  set_sole_duty(*endpoint, false);
  endpoint->counters.add_shared(Counter::tx_dropped, endpoint->backlog.size());
  endpoint->backlog.clear();
  endpoint->responder.reset();
  endpoint->fd.reset();
}

std::shared_ptr<Endpoint> IoThread::find(uint32_t id) {
  std::lock_guard lock(table_mutex_);
  uint32_t slot = id & kSocketSlotMask;
  if (slot >= table_.size() || !table_[slot] || table_[slot]->id != id) return nullptr;
  return table_[slot];
}

int IoThread::set_interest(Endpoint& endpoint, uint32_t add, uint32_t remove) {
  std::lock_guard lock(endpoint.interest_mutex);
  if (!endpoint.fd) return 0;
  uint32_t interest = (endpoint.interest | add) & ~remove;
  if (endpoint.watched && interest == endpoint.interest) return 0;
  int error = endpoint.watched ? engine_->change(endpoint.fd.get(), endpoint.id, interest)
                               : engine_->watch(endpoint.fd.get(), endpoint.id, interest);
  if (error != 0) return error;
  endpoint.watched = true;
  endpoint.interest = interest;
  set_sole_duty(endpoint, interest & kWritable || (interest != kNothing && !endpoint.shared.load()));
  return 0;
}

// Does the endpoint wait for something that nobody but the I/O thread would notice? The caller holds
// interest_mutex.
void IoThread::set_sole_duty(Endpoint& endpoint, bool is) {
  if (is == endpoint.sole_duty) return;
  endpoint.sole_duty = is;
  if (is) {
    sole_duties_.fetch_add(1);
  } else {
    sole_duties_.fetch_sub(1);
  }
}

// ---- sending, on the calling thread

uint32_t IoThread::send(Endpoint& endpoint, const uint8_t* base, std::span<Descriptor> descriptors) {
  std::lock_guard lock(endpoint.tx_mutex);
  if (endpoint.backlog.empty()) {
    if (inline_flush_.send(*engine_, endpoint.tx, base, descriptors)) return 0;
  } else {  // nobody overtakes what waits already
    for (Descriptor& descriptor : descriptors) descriptor.result = kResultDeferred;
  }
  return defer(endpoint, base, descriptors);
}

// Copies what was not sent. The caller holds tx_mutex.
uint32_t IoThread::defer(Endpoint& endpoint, const uint8_t* base, std::span<Descriptor> descriptors) {
  uint32_t deferred = 0, refused = 0;
  for (Descriptor& descriptor : descriptors) {
    if (descriptor.result != kResultDeferred) continue;
    if (endpoint.backlog_bytes + descriptor.length > kBacklogBytesMax) {
      descriptor.result = -ENOBUFS;
      refused++;
      continue;
    }
    Deferred& copy = endpoint.backlog.emplace_back();
    copy.descriptor = descriptor;
    copy.descriptor.offset = 0;
    copy.payload.assign(base + descriptor.offset, base + descriptor.offset + descriptor.length);
    // At least a descriptor's worth, so that empty datagrams have a limit too.
    endpoint.backlog_bytes += descriptor.length + sizeof(Descriptor);
    deferred++;
  }
  endpoint.counters.add_shared(Counter::tx_deferred, deferred);
  if (refused > 0) endpoint.counters.add_shared(Counter::tx_dropped, refused);
  if (deferred > 0) set_interest(endpoint, kWritable, kNothing);
  return deferred;
}

bool IoThread::notify_drained(Endpoint& endpoint) {
  std::lock_guard lock(endpoint.tx_mutex);
  endpoint.tell_drained = !endpoint.backlog.empty();
  return endpoint.tell_drained;
}

void IoThread::resume() {
  resume_asked_.store(true);
  engine_->wake();
}

// ---- the I/O thread

void* IoThread::entry(void* self) {
  pthread_setname_np(pthread_self(), "ksocket-io");
  prctl(PR_SET_TIMERSLACK, 1000);  // ns: short waits end when they should
  static_cast<IoThread*>(self)->run();
  return nullptr;
}

void IoThread::run() {
  ring_.set_thread_id(static_cast<uint32_t>(syscall(SYS_gettid)));
  Event events[kEventsMax];
  while (!stopping_.load(std::memory_order_relaxed)) {
    int n = wait(events);
    while (leave_to_loop(std::span(events, static_cast<size_t>(std::max(n, 0))))) {
      n = engine_->wait(events, 0);
    }
    while (loop_wants_work_.load() > 0) sched_yield();
    n = take_timer(std::span(events, static_cast<size_t>(std::max(n, 0))));
    uint32_t pause_us = 0;
    {
      std::lock_guard lock(work_mutex_);
      if (n > 0) receive_from_fresh();
      for (int i = 0; i < n; i++) serve(events[i]);
      if (resume_asked_.exchange(false)) unpause_all();
      if (!completions_.empty()) put_completions();
      bool caught_up = ring_.consumer_caught_up();
      publish();
      pause_us = next_pause(caught_up);
    }
    if (ticks_.load(std::memory_order_relaxed)) tick();
    if (pause_us == 0) continue;
    timespec pause{0, static_cast<long>(pause_us) * 1000};
    nanosleep(&pause, nullptr);
  }
  ring_.set_thread_id(0);
}

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

// ---- sharing with an event loop

void IoThread::share(const LoopPoll& loop) {
  if (!engine_->exclusive()) return;
  loop_ = loop;
  loop_mode_ = true;
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  places_max_ = std::min<size_t>(kPlacesMax, descriptors.rlim_cur / 16);
  fresh_.open(*engine_);
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

int IoThread::wait(std::span<Event> events) {
  counters_.add(Counter::waits, 1);
  if (options_.busy_poll_us > 0) {
    uint64_t until = now_us() + options_.busy_poll_us;
    do {
      int n = engine_->wait(events, 0);
      if (n > 0) return n;
      if (stopping_.load(std::memory_order_relaxed) || resume_asked_.load(std::memory_order_relaxed))
        return 0;
    } while (now_us() < until);
  }
  return engine_->wait(events, ticks_.load(std::memory_order_relaxed) ? kTickMs : -1);
}

void IoThread::tick() {
  uint64_t now = now_us();
  if (now - ticked_us_ < kTickMs * 1000) return;
  ticked_us_ = now;
  std::vector<std::weak_ptr<Endpoint>> all;
  {
    std::lock_guard lock(table_mutex_);
    std::erase_if(ticking_, [](const auto& weak) { return weak.expired(); });
    all = ticking_;
  }
  for (const auto& weak : all) {
    auto endpoint = weak.lock();
    if (!endpoint) continue;
    std::lock_guard lock(endpoint->rx_mutex);
    if (!endpoint->fd || !endpoint->responder) continue;
    endpoint->responder->tick();
    endpoint->kernel_drops.refresh(endpoint->fd.get(), endpoint->counters);
  }
}

void IoThread::serve(const Event& event) {
  std::shared_ptr<Endpoint> endpoint = find(static_cast<uint32_t>(event.token));
  if (!endpoint || endpoint->closing.load()) return;
  if (event.token & kResponderToken) {
    std::lock_guard lock(endpoint->rx_mutex);
    uint32_t key = static_cast<uint32_t>((event.token & ~kResponderToken) >> 32);
    if (endpoint->fd && endpoint->responder) endpoint->responder->ready(rx_.tools(), key);
    return;
  }
  if (event.writable) send_backlog(*endpoint);
  if (event.readable && !endpoint->paused) receive(endpoint);
}

void IoThread::receive(const std::shared_ptr<Endpoint>& endpoint) {
  RxLoop::Outcome outcome;
  {
    std::lock_guard lock(endpoint->rx_mutex);
    if (!endpoint->fd) return;
    outcome = rx_.receive(*endpoint);
  }
  if (outcome == RxLoop::Outcome::full) pause(endpoint);
  if (outcome == RxLoop::Outcome::dead) set_interest(*endpoint, kNothing, kReadable | kWritable);
}

// The ring is full: leave the datagrams to the kernel's buffer until JavaScript asks for more.
void IoThread::pause(const std::shared_ptr<Endpoint>& endpoint) {
  publish();
  if (!ring_.wait_for_room([&] { return rx_.room_for(*endpoint) > 0; })) {
    // Room turned up. The flag that was just taken back is also what would have woken the others.
    unpause_all();
    return;
  }
  endpoint->paused = true;
  loop_policy_.on_full_ring();
  endpoint->counters.add(Counter::rx_pauses, 1);
  set_interest(*endpoint, kNothing, kReadable);
  paused_.push_back(endpoint);
}

void IoThread::unpause_all() {
  if (paused_.empty()) return;
  ring_.stop_waiting();
  for (const auto& weak : paused_) {
    if (auto endpoint = weak.lock()) {
      endpoint->paused = false;
      set_interest(*endpoint, kReadable, kNothing);
    }
  }
  paused_.clear();
}

void IoThread::send_backlog(Endpoint& endpoint) {
  std::lock_guard lock(endpoint.tx_mutex);
  while (endpoint.fd && !endpoint.backlog.empty()) {
    Deferred& front = endpoint.backlog.front();
    size_t cost = front.payload.size() + sizeof(Descriptor);
    front.descriptor.result = 0;
    if (!flush_.send(*engine_, endpoint.tx, front.payload.data(), std::span(&front.descriptor, 1))) return;
    Descriptor done = front.descriptor;
    endpoint.backlog_bytes -= cost;
    endpoint.backlog.pop_front();
    if (done.user_data == 0) continue;  // nobody asked
    done.socket_id = endpoint.id;
    done.kind = DescriptorKind::sent;
    completions_.push_back(done);
  }
  set_interest(endpoint, kNothing, kWritable);
  if (!endpoint.tell_drained) return;
  endpoint.tell_drained = false;
  Descriptor& drained = completions_.emplace_back();
  drained.socket_id = endpoint.id;
  drained.kind = DescriptorKind::drained;
}

// False when the ring is full: the rest waits for room.
bool IoThread::put_completions() {
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
  if (completions_.empty()) return true;
  publish();
  // No socket may be paused, so nobody else asks for the wake-up.
  if (!ring_.wait_for_room([&] { return ring_.room(1, 1) > 0; })) resume();
  return false;
}

void IoThread::publish() {
  if (!ring_.has_unpublished() || !ring_.publish()) return;
  counters_.add(Counter::wakeups, 1);
  wake_();
}

}  // namespace ksocket
