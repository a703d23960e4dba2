// IoThread: what is done to a socket, on the JavaScript thread, once what has arrived so far is read.
#include <cerrno>
#include <utility>

#include "core/thread/io_thread.h"

namespace ksocket {

int IoThread::set_filter(Endpoint& endpoint, EndpointFilter::Wanted wanted) {
  LoopSharing::LoopLock sharing_lock(sharing_);  // the I/O thread is between two rounds
  std::lock_guard lock(endpoint.rx_mutex);
  if (!endpoint.fd) return -EBADF;
  if (int error = endpoint.filter.set(endpoint.fd.get(), endpoint.family, std::move(wanted))) return error;
  endpoint.batches = 0;  // UDP_GRO comes again with traffic, if it may
  int error = 0;
  // Where the ring has no room now, a later turn, which reads the rest, sets it.
  while (endpoint.filter.waits() &&
         turn_.receive(endpoint, false, RxBatch::kSlots, &error) == RxTurn::Outcome::more) {
  }
  publish();
  return error;
}

int IoThread::disconnect(Endpoint& endpoint) {
  if (endpoint.family != kLocal) return disconnect_socket(endpoint.fd.get());
  LoopSharing::LoopLock sharing_lock(sharing_);
  std::scoped_lock lock(endpoint.rx_mutex, endpoint.tx_mutex);
  // The kernel throws away what waits in it (unix_dgram_disconnected).
  RxTurn::Outcome outcome;
  do {
    outcome = turn_.receive(endpoint, false);
  } while (outcome == RxTurn::Outcome::more);
  if (outcome == RxTurn::Outcome::ring_full) turn_.drop_rest(endpoint);
  publish();
  int error = disconnect_socket(endpoint.fd.get());
  if (error == 0 && endpoint.local) endpoint.local->peers.connected(0);
  return error;
}

int IoThread::watch_again(Endpoint& endpoint) {
  {
    LoopSharing::LoopLock sharing_lock(sharing_);
    endpoint.paused = false;
  }
  return watch(endpoint);
}

}  // namespace ksocket
