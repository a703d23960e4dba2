// IoThread: sending on the calling thread, and on its own what had to wait.
#include <poll.h>

#include <cerrno>
#include <utility>

#include "core/thread/io_thread.h"

namespace ksocket {

namespace {

// So long a name may have become another socket's before somebody looks.
constexpr uint64_t kNamesAgainNs = 1'000'000'000;

}  // namespace

uint32_t IoThread::send(Endpoint& endpoint, const uint8_t* base, std::span<Descriptor> descriptors,
                        std::span<const Source> sources) {
  has_sent_ = true;
  std::lock_guard lock(endpoint.tx_mutex);
  if (endpoint.local && !descriptors.empty() &&
      (descriptors[0].family == kLocal || endpoint.local->peers.connected_to() != 0)) {
    uint32_t waiting = endpoint.local->peers.send(inline_flush_, endpoint.tx, base, descriptors);
    if (waiting > 0) wait_for_paths(find(endpoint.id));
    return waiting;
  }
  bool first = endpoint.backlog.empty();
  if (first) {
    if (inline_flush_.send(*engine_, endpoint.tx, base, descriptors, sources)) return 0;
  } else {  // nobody overtakes what waits already
    for (Descriptor& descriptor : descriptors) descriptor.result = kResultDeferred;
  }
  uint32_t waiting = endpoint.backlog.keep(base, descriptors, sources, endpoint.counters);
  if (first && waiting > 0) rewatch(find(endpoint.id), kWritable, kNothing);
  return waiting;
}

int IoThread::send_now(Endpoint& endpoint, std::span<const uint8_t> payload, const Address* to) {
  SocketName name;
  if (to != nullptr) write_name(*to, &name);
  has_sent_ = true;
  std::lock_guard lock(endpoint.tx_mutex);
  if (!endpoint.backlog.empty()) return -EAGAIN;  // nobody overtakes what waits already
  return TxFlush::send_one(*engine_, endpoint.tx, payload, to == nullptr ? nullptr : &name);
}

// On either thread, with the lock of LoopSharing.
void IoThread::work_off(const std::shared_ptr<Endpoint>& endpoint) {
  std::lock_guard lock(endpoint->tx_mutex);
  if (!endpoint->fd) return;
  Backoff& backoff = endpoint->tx_backoff;
  Backlog::Outcome outcome =
      endpoint->backlog.work_off(*engine_, flush_, endpoint->tx, endpoint->id, &completions_);
  if (outcome == Backlog::Outcome::stuck) {
    postponed_.add(endpoint, kWritable, backoff.next_ns(kPatienceMaxNs));
  } else {
    backoff.reset();
  }
  if (outcome != Backlog::Outcome::blocked) rewatch(endpoint, kNothing, kWritable);
  if (endpoint->local && endpoint->local->peers.any_parked()) work_off_paths(endpoint, false);
}

// ---- what waits for the receivers of a local socket's datagrams

void IoThread::go_on_to_path(const std::shared_ptr<Endpoint>& endpoint, uint32_t key) {
  std::lock_guard lock(endpoint->tx_mutex);
  if (!endpoint->fd || !endpoint->local) return;
  endpoint->local->peers.ready(key, flush_, endpoint->tx, &completions_);
  wait_for_paths(endpoint);
}

// Its time has come.
void IoThread::go_on_to_paths(const std::shared_ptr<Endpoint>& endpoint) {
  std::lock_guard lock(endpoint->tx_mutex);
  if (endpoint->local) endpoint->local->peers_due_ns = 0;
  work_off_paths(endpoint, true);
}

// The caller holds its tx_mutex for these.

void IoThread::work_off_paths(const std::shared_ptr<Endpoint>& endpoint, bool all) {
  if (!endpoint->fd || !endpoint->local) return;
  endpoint->local->peers.go_on(flush_, endpoint->tx, &completions_, all);
  if (!endpoint->local->peers.any_parked()) endpoint->tx_backoff.reset();
  wait_for_paths(endpoint);
}

// The socket's own buffer may be full: then it is writable once a quarter of it is left (unix_writable). It
// may take something before that, as what lies with a receiver that does not read counts, too.
void IoThread::wait_for_paths(const std::shared_ptr<Endpoint>& endpoint) {
  LocalParts& local = *endpoint->local;
  if (local.peers.empty()) return;
  bool parked = local.peers.any_parked();
  pollfd asked{endpoint->fd.get(), POLLOUT, 0};
  if (parked && poll(&asked, 1, 0) == 0) rewatch(endpoint, kWritable, kNothing);
  uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
  if (local.peers_due_ns != 0 && (!parked || local.peers_due_ns <= now_ns + kPatienceMaxNs)) return;
  uint64_t wait_ns = parked ? endpoint->tx_backoff.next_ns(kPatienceMaxNs) : kNamesAgainNs;
  local.peers_due_ns = now_ns + wait_ns;
  postponed_.add(endpoint, kNothing, wait_ns);
  engine_->wake();  // it may wait without a limit already
}

// How many datagrams that were.
size_t IoThread::clear_backlogs(Endpoint& endpoint) {
  return endpoint.backlog.clear() + (endpoint.local ? endpoint.local->peers.clear() : 0);
}

bool IoThread::notify_drained(Endpoint& endpoint) {
  std::lock_guard lock(endpoint.tx_mutex);
  if (endpoint.local && endpoint.local->peers.notify_drained()) return true;
  return endpoint.backlog.notify_drained();
}

bool IoThread::tell_drained(Endpoint& endpoint) {
  LoopSharing::LoopLock lock(sharing_);
  Descriptor& drained = completions_.emplace_back();
  drained.socket_id = endpoint.id;
  drained.kind = DescriptorKind::drained;
  put_completions();
  if (!ring_.has_unpublished()) return false;
  ring_.publish();
  return true;
}

void IoThread::notify_writable(Endpoint& endpoint) {
  std::lock_guard lock(endpoint.tx_mutex);
  endpoint.backlog.notify_writable();
  rewatch(find(endpoint.id), kWritable, kNothing);
}

}  // namespace ksocket
