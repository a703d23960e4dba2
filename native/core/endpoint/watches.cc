#include "core/endpoint/watches.h"

#include <mutex>

namespace ksocket {

int Watches::set(Endpoint& endpoint, uint32_t add, uint32_t remove) {
  Endpoint::Watch& watch = endpoint.watch;
  std::lock_guard lock(watch.mutex);
  if (!endpoint.fd) return 0;
  uint32_t interest = (watch.interest | add) & ~remove;
  if (watch.known && interest == watch.interest) return 0;
  watch.interest = interest;
  return tell(endpoint);
}

int Watches::tell(Endpoint& endpoint) {
  Endpoint::Watch& watch = endpoint.watch;
  int error = watch.known ? engine_.change(endpoint.fd.get(), endpoint.id, watch.interest)
                          : engine_.watch(endpoint.fd.get(), endpoint.id, watch.interest);
  watch.known = error == 0;
  if (watch.known) watch.backoff.reset();
  note_duty(endpoint);
  return error;
}

void Watches::plan(Endpoint& endpoint, uint32_t interest) {
  std::lock_guard lock(endpoint.watch.mutex);
  endpoint.watch.interest = interest;
}

uint64_t Watches::retry_ns(Endpoint& endpoint) {
  std::lock_guard lock(endpoint.watch.mutex);
  return endpoint.watch.backoff.next_ns(kRetryMaxNs);
}

int Watches::renew(Endpoint& endpoint) {
  return endpoint.watch.known ? tell(endpoint) : 0;
}

void Watches::forget(Endpoint& endpoint) {
  if (endpoint.watch.known) engine_.unwatch(endpoint.fd.get());
  endpoint.watch.known = false;
  note_duty(endpoint);
}

void Watches::note_duty(Endpoint& endpoint) {
  Endpoint::Watch& watch = endpoint.watch;
  bool shared = endpoint.sharing.shared.load();
  bool has = watch.known && ((watch.interest & kWritable) || (watch.interest != kNothing && !shared));
  if (has == watch.sole_duty) return;
  watch.sole_duty = has;
  if (has) {
    sole_duties_.fetch_add(1);
  } else {
    sole_duties_.fetch_sub(1);
  }
}

}  // namespace ksocket
