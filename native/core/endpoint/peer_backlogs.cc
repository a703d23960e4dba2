#include "core/endpoint/peer_backlogs.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "core/answer/responder.h"
#include "core/socket/path_table.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

bool is_writable(int fd) {
  pollfd asked{fd, POLLOUT, 0};
  return poll(&asked, 1, 0) == 1;
}

}  // namespace

size_t PeerBacklogs::datagrams() const {
  size_t sum = 0;
  for (const auto& [number, place] : by_number_) sum += queues_[place]->backlog.datagrams();
  return sum;
}

size_t PeerBacklogs::payload_bytes() const {
  size_t sum = 0;
  for (const auto& [number, place] : by_number_) sum += queues_[place]->backlog.payload_bytes();
  return sum;
}

void PeerBacklogs::connected(uint64_t number) {
  if (number != 0) PathTable::of_process().hold(number);
  if (connected_to_ != 0) PathTable::of_process().release(connected_to_);
  connected_to_ = number;
}

uint32_t PeerBacklogs::send(TxFlush& flush, TxSocket& socket, const uint8_t* base,
                            std::span<Descriptor> descriptors) {
  uint32_t waiting = 0;
  for (size_t at = 0; at < descriptors.size();) {
    if (Queue* queue = find(descriptors[at])) {  // nobody overtakes what waits already
      waiting += keep(queue, base, &descriptors[at++], socket.counters);
      continue;
    }
    size_t end = at + 1;
    while (end < descriptors.size() && (by_number_.empty() || find(descriptors[end]) == nullptr)) end++;
    std::span<Descriptor> run = descriptors.subspan(at, end - at);
    at = end;
    if (flush.send(engine_, socket, base, run)) continue;
    size_t refused = 0;
    while (run[refused].result != kResultDeferred) refused++;
    at = end - run.size() + refused;  // its receiver has a queue now
    uint32_t place = add(run[refused]);
    wait(place, queues_[place].get());
  }
  return waiting;
}

void PeerBacklogs::ready(uint32_t key, TxFlush& flush, TxSocket& socket,
                         std::vector<Descriptor>* completions) {
  if (key < queues_.size() && queues_[key]) work_off(key, flush, socket, completions);
  tell_if_drained(completions);
}

void PeerBacklogs::go_on(TxFlush& flush, TxSocket& socket, std::vector<Descriptor>* completions, bool all) {
  // Each time another one is first: it may take all the room that there is.
  uint32_t first = turns_++;
  for (uint32_t i = 0; i < queues_.size() && (all || parked_ > 0); i++) {
    uint32_t place = (first + i) % static_cast<uint32_t>(queues_.size());
    Queue* queue = queues_[place].get();
    if (queue == nullptr || (!all && !queue->parked)) continue;
    size_t before = queue->parked ? 0 : queue->backlog.datagrams();
    work_off(place, flush, socket, completions);
    bool unexpected = before > 0 && queues_[place] && queues_[place]->backlog.datagrams() < before;
    if (unexpected) probe_again(place);
  }
  tell_if_drained(completions);
}

// Something has left of which the probe did not know that it could: it is connected to another socket.
void PeerBacklogs::probe_again(uint32_t place) {
  Queue* queue = queues_[place].get();
  park(queue);
  if (queue->probe) probes_--;
  queue->probe.reset();
  wait(place, queue);
}

size_t PeerBacklogs::clear() {
  size_t count = 0;
  for (uint32_t place = 0; place < queues_.size(); place++) {
    if (!queues_[place]) continue;
    bytes_ -= queues_[place]->backlog.bytes();
    count += queues_[place]->backlog.clear();
    remove(place);
  }
  return count;
}

uint64_t PeerBacklogs::number_of(const Descriptor& to) const {
  return to.family == 0 ? connected_to_ : path_number(read_address(to));
}

PeerBacklogs::Queue* PeerBacklogs::find(const Descriptor& to) {
  if (by_number_.empty()) return nullptr;
  auto at = by_number_.find(number_of(to));
  return at == by_number_.end() ? nullptr : queues_[at->second].get();
}

uint32_t PeerBacklogs::add(const Descriptor& to) {
  uint64_t number = number_of(to);
  PathTable::of_process().hold(number);
  auto queue = std::make_unique<Queue>();
  queue->number = number;
  parked_++;
  uint32_t place;
  if (free_.empty()) {
    place = static_cast<uint32_t>(queues_.size());
    queues_.emplace_back();
  } else {
    place = free_.back();
    free_.pop_back();
  }
  queues_[place] = std::move(queue);
  by_number_[number] = place;
  return place;
}

uint32_t PeerBacklogs::keep(Queue* queue, const uint8_t* base, Descriptor* descriptor,
                            const Counters& counters) {
  descriptor->result = kResultDeferred;
  write_address(local_address(queue->number), descriptor);  // whatever the socket is connected to then
  Backlog& backlog = queue->backlog;
  size_t others = bytes_ - backlog.bytes();
  uint32_t kept = backlog.keep(base, {descriptor, 1}, {}, counters, kBacklogBytesMax - others);
  bytes_ = others + backlog.bytes();
  return kept;
}

// What the probe says now.
bool PeerBacklogs::is_ready(const Queue& queue) const {
  return queue.probe && is_writable(queue.probe.get());
}

// The kernel has refused the first of a parked queue. It stays parked where nobody can tell when to try
// again.
void PeerBacklogs::wait(uint32_t place, Queue* queue) {
  if (!queue->probe) {
    Fd probe;
    if (probes_ == kProbesMax || open_datagram(kLocal, &probe) != 0) return;
    if (connect_socket(probe.get(), local_address(queue->number)) != 0) return;
    queue->probe = std::move(probe);
    probes_++;
  }
  uint64_t token = responder_token(endpoint_id_, place);
  if (engine_.watch(queue->probe.get(), token, kWritable) != 0) return;
  queue->parked = false;
  parked_--;
  on_watch_(1);
}

// It is not the receiver that has no room.
void PeerBacklogs::park(Queue* queue) {
  if (queue->parked) return;
  engine_.unwatch(queue->probe.get());
  on_watch_(-1);
  queue->parked = true;
  parked_++;
}

void PeerBacklogs::work_off(uint32_t place, TxFlush& flush, TxSocket& socket,
                            std::vector<Descriptor>* completions) {
  Queue* queue = queues_[place].get();
  size_t others = bytes_ - queue->backlog.bytes();
  Backlog::Outcome outcome = queue->backlog.work_off(engine_, flush, socket, endpoint_id_, completions);
  bytes_ = others + queue->backlog.bytes();
  switch (outcome) {
    case Backlog::Outcome::empty:
      emptied_ = true;
      remove(place);
      break;
    case Backlog::Outcome::blocked:
      if (queue->parked) wait(place, queue);
      break;
    case Backlog::Outcome::stuck:
      if (is_ready(*queue)) {
        park(queue);
      } else if (queue->parked) {
        wait(place, queue);
      }
  }
}

void PeerBacklogs::remove(uint32_t place) {
  Queue* queue = queues_[place].get();
  park(queue);
  parked_--;
  if (queue->probe) probes_--;
  PathTable::of_process().release(queue->number);
  by_number_.erase(queue->number);
  queues_[place].reset();
  free_.push_back(place);
}

void PeerBacklogs::tell_if_drained(std::vector<Descriptor>* completions) {
  if (!std::exchange(emptied_, false) || !std::exchange(tell_drained_, false)) return;
  Descriptor& drained = completions->emplace_back();
  drained.socket_id = endpoint_id_;
  drained.kind = DescriptorKind::drained;
}

}  // namespace ksocket
