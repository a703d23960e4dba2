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
// How often responders that want it look for what has timed out.
constexpr int kTickMs = 1000;

}  // namespace

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
  if (loop_ && !endpoint.shared && !endpoint.responder && start_sharing(endpoint)) return 0;
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
  if (loop_ && !endpoint->responder) stop_sharing(*endpoint);
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
