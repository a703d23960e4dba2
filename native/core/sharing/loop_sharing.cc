#include "core/sharing/loop_sharing.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "core/base/clock.h"

namespace ksocket {

LoopSharing::LoopSharing(const Tools& tools, Moderation::Options moderation, Calls calls,
                         const Limits& limits)
    : tools_(tools), calls_(std::move(calls)), arbiter_(limits), moderation_(moderation) {}

LoopSharing::ThreadLock::ThreadLock(LoopSharing& sharing) : sharing_(sharing) {
  while (sharing_.loop_waits_.load() > 0) sched_yield();
  sharing_.mutex_.lock();
}

void LoopSharing::start(const LoopPoll& loop) {
  loop_ = loop;
  loop_owns_ = true;
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  places_max_ = std::min<size_t>(kLimits.places_max, descriptors.rlim_cur / kLimits.places_share);
  fresh_.open(tools_.engine);
}

void LoopSharing::stop() {
  if (loop_owns()) hand_to_thread();
  places_.clear();
  recent_.clear();
  free_places_.clear();
  fresh_.take();
}

// ---- which sockets the loop shares

bool LoopSharing::add(const std::shared_ptr<Endpoint>& endpoint) {
  if (!loop_) return false;
  LoopLock lock(*this);
  bool has_place = take_place(endpoint);
  if (has_place && !loop_owns()) return false;
  tools_.watches.plan(*endpoint, kReadable);
  if (!fresh_.add(endpoint)) return false;
  if (!has_place) loop_.ask_before_poll();
  return true;
}

void LoopSharing::remove(Endpoint& endpoint) {
  if (!loop_) return;
  fresh_.remove(endpoint);
  if (!endpoint.sharing.shared) return;
  if (loop_owns()) leave_loop(loop_, endpoint.fd.get());
  free_place(endpoint);
}

// False when there is none, or the descriptor cannot be shared: then it is the thread's alone. The caller
// holds the lock.
bool LoopSharing::take_place(const std::shared_ptr<Endpoint>& endpoint) {
  if (free_places_.empty() && places_.size() < places_max_) {
    int data_fd = loop_.add_place();
    if (data_fd < 0) return false;
    free_places_.push_back(static_cast<uint32_t>(places_.size()));
    places_.push_back({data_fd, nullptr});
  }
  if (free_places_.empty()) return false;
  uint32_t number = free_places_.back();
  Place& place = places_[number];
  if (enter_loop(loop_, place.data_fd, endpoint->fd.get()) != 0) return false;
  if (!loop_owns()) leave_loop(loop_, endpoint->fd.get());  // that it can be shared is all we wanted to know
  free_places_.pop_back();
  place.endpoint = endpoint;
  endpoint->sharing.place = number;
  endpoint->sharing.shared = true;
  return true;
}

// The caller holds the lock.
void LoopSharing::free_place(Endpoint& endpoint) {
  uint32_t number = endpoint.sharing.place;
  endpoint.sharing.shared = false;
  free_places_.push_back(number);
  places_[number].endpoint.reset();
}

// ---- when the owner changes

// Carries out what the arbiter has decided. The caller holds the lock.
void LoopSharing::follow_arbiter() {
  saturated_until_ns_.store(arbiter_.saturated_until_ns(), std::memory_order_relaxed);
  if (arbiter_.loop_owns() == loop_owns()) return;
  if (arbiter_.loop_owns()) {
    hand_to_loop();
  } else {
    hand_to_thread();
  }
}

// Exclusive waiters are woken in the order in which they were added: the loop first, then the thread.
void LoopSharing::hand_to_loop() {
  loop_owns_ = true;
  Refused refused;
  for (const Place& place : places_) {
    std::shared_ptr<Endpoint> endpoint = place.endpoint;
    if (!endpoint) continue;
    std::lock_guard watch_lock(endpoint->watch.mutex);
    if (!endpoint->fd) continue;
    if (enter_loop(loop_, place.data_fd, endpoint->fd.get()) == 0) {
      renew(endpoint, &refused);
    } else {
      free_place(*endpoint);
      tools_.watches.note_duty(*endpoint);
    }
  }
  report(refused);
}

void LoopSharing::hand_to_thread() {
  loop_owns_ = false;
  Refused refused = watch_all(fresh_.take());
  for (const Place& place : places_) {
    const std::shared_ptr<Endpoint>& endpoint = place.endpoint;
    if (!endpoint) continue;
    std::lock_guard watch_lock(endpoint->watch.mutex);
    if (!endpoint->fd) continue;
    leave_loop(loop_, endpoint->fd.get());
    // Of what made the loop wake up the engine was never told, and the loop may not have read it all: the new
    // entry is checked for readiness.
    renew(endpoint, &refused);
  }
  report(refused);
}

void LoopSharing::renew(const std::shared_ptr<Endpoint>& endpoint, Refused* refused) {
  if (int error = tools_.watches.renew(*endpoint)) refused->emplace_back(endpoint, error);
}

// ---- sockets that the engine does not watch yet

// Those that it will not watch, and why.
LoopSharing::Refused LoopSharing::watch_all(const Endpoints& fresh) {
  Refused refused;
  for (const auto& endpoint : fresh) {
    int error = tools_.watches.set(*endpoint, kNothing, kNothing);
    if (error != 0) refused.emplace_back(endpoint, error);
  }
  return refused;
}

// Their owners hear of it, once, as of a receive error; it is tried again. The caller holds the lock.
void LoopSharing::report(const Refused& refused) {
  for (const auto& [endpoint, error] : refused) {
    if (endpoint->closing.load()) continue;
    calls_.postpone(*endpoint, kNothing);
    if (std::exchange(endpoint->sharing.refusal_told, true)) continue;
    endpoint->counters.add(Counter::rx_errors, 1);
    calls_.report(*endpoint, error);
  }
}

void LoopSharing::before_poll() {
  LoopLock lock(*this);
  report(watch_all(fresh_.take_unshared()));
}

size_t LoopSharing::take_timer(std::span<Event> events) {
  auto at = std::find_if(events.begin(), events.end(),
                         [](const Event& event) { return event.token == kFreshTimerToken; });
  if (at == events.end()) return events.size();
  std::rotate(at, at + 1, events.end());
  size_t others = events.size() - 1;
  Endpoints fresh;
  {
    ThreadLock lock(*this);
    fresh_.on_timer();
    if (others > 0) return others;  // take_fresh() comes next
    fresh = fresh_.take();
  }
  // Not under the lock: the loop may be making the next thousand.
  Refused refused = watch_all(fresh);
  if (refused.empty()) return 0;
  ThreadLock lock(*this);
  report(refused);
  return 0;
}

Endpoints LoopSharing::take_fresh() {
  Endpoints fresh = fresh_.take();
  report(watch_all(fresh));
  std::erase_if(fresh, [](const auto& endpoint) { return !endpoint->sharing.shared; });
  return fresh;
}

// ---- a turn of either side

bool LoopSharing::receive_on_loop(uint32_t place) {
  loop_came_.store(true, std::memory_order_relaxed);
  LoopLock lock(*this);
  std::shared_ptr<Endpoint> endpoint = places_[place].endpoint;
  if (!endpoint) return false;
  note_recent(place);
  bool to_read = receive(*endpoint, true, comes_alone(*endpoint) ? 1 : RxBatch::kSlots);
  tools_.counters.add(Counter::loop_rounds, 1);
  uint32_t datagrams = note_loop_round();
  uint32_t& lone_rounds = endpoint->sharing.lone_rounds;
  lone_rounds = datagrams == 1 ? std::min(lone_rounds + 1, kLimits.lone_rounds) : 0;
  return to_read;
}

// Then the kernel is not asked for a second one, in vain; it would say that there is more. What a burst
// leaves behind is told at once, and read as ever.
bool LoopSharing::comes_alone(const Endpoint& endpoint) const {
  return endpoint.sharing.lone_rounds == kLimits.lone_rounds &&
         clock_ns(CLOCK_MONOTONIC) - loop_round_ns_ >= kLimits.rest_ns;
}

// True: JavaScript has to read the ring.
bool LoopSharing::receive(Endpoint& endpoint, bool told, uint32_t most) {
  RxTurn::Outcome outcome;
  {
    std::lock_guard rx_lock(endpoint.rx_mutex);
    tools_.turn.use_chunks(&chunks_);
    outcome = tools_.turn.receive(endpoint, told, most);
    tools_.turn.use_chunks(nullptr);
  }
  if (outcome == RxTurn::Outcome::dead) {
    leave_loop(loop_, endpoint.fd.get());
    // What waits to be sent is still waited for.
    if (tools_.watches.set(endpoint, kNothing, kReadable) != 0) calls_.postpone(endpoint, kNothing);
    calls_.work_off(endpoint);
  } else if (outcome == RxTurn::Outcome::futile) {
    give_up(endpoint);
  }
  // A full ring is no reason to pause: the reader is about to empty it.
  if (!tools_.ring.has_unpublished()) return outcome == RxTurn::Outcome::ring_full;
  tools_.ring.publish();
  return true;
}

// An answer to what the listeners have sent takes a moment, but less than to fall asleep and to be woken.
Look LoopSharing::look_again(bool answered) {
  if (!second_look_.pays()) return Look::nothing;
  uint64_t until_ns = answered ? clock_ns(CLOCK_MONOTONIC) + kLimits.answer_ns : 0;
  Look look;
  do look = look_now();
  while (look == Look::nothing && answered && clock_ns(CLOCK_MONOTONIC) < until_ns);
  if (look != Look::not_now) second_look_.note(look == Look::found);
  return look;
}

Look LoopSharing::look_now() {
  LoopLock lock(*this);
  if (!loop_owns() || !tools_.ring.consumer_caught_up()) return Look::not_now;
  bool to_read = false;
  for (uint32_t place : recent_) {
    std::shared_ptr<Endpoint> endpoint = places_[place].endpoint;
    if (endpoint && receive(*endpoint, false)) to_read = true;
  }
  if (!to_read) return Look::nothing;
  loop_came_.store(true, std::memory_order_relaxed);
  tools_.counters.add(Counter::loop_rounds, 1);
  note_loop_round();
  return Look::found;
}

void LoopSharing::note_recent(uint32_t place) {
  auto at = std::find(recent_.begin(), recent_.end(), place);
  if (at == recent_.end()) {
    if (recent_.size() == kLimits.recent_places) recent_.pop_back();
    at = recent_.insert(recent_.end(), place);
  }
  std::rotate(recent_.begin(), at, at + 1);
}

// The socket would wake the loop for nothing, for ever: the thread looks after it, now and then.
void LoopSharing::give_up(Endpoint& endpoint) {
  if (loop_owns()) leave_loop(loop_, endpoint.fd.get());
  free_place(endpoint);
  tools_.watches.set(endpoint, kNothing, kReadable);
  calls_.postpone(endpoint, kReadable);
}

// How many datagrams it brought.
uint32_t LoopSharing::note_loop_round() {
  RxRound round = tools_.turn.take_round();
  if (!loop_owns() || round.datagrams == 0) return round.datagrams;
  uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
  loop_round_ns_ = now_ns;
  moderation_.observe(round, now_ns);
  arbiter_.after_loop_round(round, moderation_.gap_ns(), now_ns);
  follow_arbiter();
  return round.datagrams;
}

uint64_t LoopSharing::after_round(bool caught_up) {
  RxRound round = tools_.turn.take_round();
  if (round.datagrams == 0 || (!loop_ && !moderation_.enabled())) return 0;
  uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
  if (loop_owns()) {  // the event loop was busy, or a burst came
    moderation_.observe(round, now_ns);
    arbiter_.after_stand_in(round, moderation_.gap_ns());
    follow_arbiter();
    return 0;
  }
  bool waited = moderation_.waited();
  uint64_t pause_ns = moderation_.after(round, now_ns);
  if (loop_) {
    arbiter_.after_thread_round({round, waited, moderation_.futile(), caught_up}, moderation_.gap_ns(),
                                now_ns);
    follow_arbiter();
    if (loop_owns()) return 0;
  }
  if (pause_ns > 0) tools_.counters.add(Counter::moderations, 1);
  return pause_ns;
}

// ---- the vigil

bool LoopSharing::leave_to_loop() {
  if (!loop_owns() || calls_.interrupted()) return false;
  uint64_t until_ns = saturated_until_ns_.load(std::memory_order_relaxed);
  bool saturated = until_ns != 0 && clock_ns(CLOCK_MONOTONIC) < until_ns;
  uint64_t grace_ns = arbiter_.on_told(came(), saturated, tools_.ring.consumed());
  if (grace_ns == 0) return false;
  loop_came_.store(false, std::memory_order_relaxed);
  sleep_ns(grace_ns);
  arbiter_.after_grace(came(), saturated);
  while (arbiter_.vigil() == Vigil::dozing) doze();
  return true;
}

void LoopSharing::doze() {
  if (tools_.watches.has_sole_duty() || !loop_owns() || calls_.interrupted()) return arbiter_.end_doze();
  uint64_t before = tools_.counters.get(Counter::loop_rounds);
  sleep_ns(kLimits.doze_ns);
  arbiter_.after_doze(tools_.counters.get(Counter::loop_rounds) - before);
}

}  // namespace ksocket
