// IoThread: sending on the calling thread, and on its own what had to wait.
#include <poll.h>

#include <utility>

#include "core/thread/io_thread.h"

namespace ksocket {

uint32_t IoThread::send(Endpoint& endpoint, const uint8_t* base, std::span<Descriptor> descriptors,
                        std::span<const Source> sources) {
  has_sent_ = true;
  std::lock_guard lock(endpoint.tx_mutex);
  if (endpoint.local && !descriptors.empty() && descriptors[0].family == kLocal) {
    uint32_t waiting = endpoint.local->peers.send(inline_flush_, endpoint.tx, base, descriptors);
    if (endpoint.local->peers.any_parked()) wait_for_paths(find(endpoint.id));
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
  if (endpoint->local && endpoint->local->peers.any_parked()) work_off_paths(endpoint);
}

// ---- what waits for the receivers of a local socket's datagrams

void IoThread::go_on_to_path(const std::shared_ptr<Endpoint>& endpoint, uint32_t key) {
  std::lock_guard lock(endpoint->tx_mutex);
  if (!endpoint->fd || !endpoint->local) return;
  endpoint->local->peers.ready(key, flush_, endpoint->tx, &completions_);
  if (endpoint->local->peers.any_parked()) wait_for_paths(endpoint);
}

// Its time has come.
void IoThread::go_on_to_paths(const std::shared_ptr<Endpoint>& endpoint) {
  std::lock_guard lock(endpoint->tx_mutex);
  endpoint->local->peers_postponed = false;
  work_off_paths(endpoint);
}

// The caller holds its tx_mutex for these.

void IoThread::work_off_paths(const std::shared_ptr<Endpoint>& endpoint) {
  if (!endpoint->fd || !endpoint->local) return;
  endpoint->local->peers.go_on(flush_, endpoint->tx, &completions_);
  if (endpoint->local->peers.any_parked()) {
    wait_for_paths(endpoint);
  } else {
    endpoint->tx_backoff.reset();
  }
}

// The socket's own buffer may be full: then it is writable once a quarter of it is left (unix_writable). It
// may take something before that, as what lies with a receiver that does not read counts, too.
void IoThread::wait_for_paths(const std::shared_ptr<Endpoint>& endpoint) {
  pollfd asked{endpoint->fd.get(), POLLOUT, 0};
  if (poll(&asked, 1, 0) == 0) rewatch(endpoint, kWritable, kNothing);
  if (std::exchange(endpoint->local->peers_postponed, true)) return;
  postponed_.add(endpoint, kNothing, endpoint->tx_backoff.next_ns(kPatienceMaxNs));
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

}  // namespace ksocket
