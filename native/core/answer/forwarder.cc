#include "core/answer/forwarder.h"

#include <algorithm>

#include "core/base/errno_policy.h"
#include "core/base/hash.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

uint64_t hash_of(const Address& address, uint16_t port, uint64_t seed) {
  uint64_t low, high;
  std::memcpy(&low, address.bytes, 8);
  std::memcpy(&high, address.bytes + 8, 8);
  return seeded_hash(seed, {low, high, uint64_t{address.scope_id} << 32 | port});
}

}  // namespace

struct Forwarder::Flow {
  Flow(const Key& key, Fd fd, uint8_t family, bool offloads, Counters counters)
      : key(key), fd(std::move(fd)), out(this->fd.get(), family, offloads, counters) {}

  Key key;
  Fd fd;  // connected to the back end
  Answers out;
  uint64_t used_ns = 0;
  std::optional<std::list<uint32_t>::iterator> waits;  // in unanswered_, until the first answer
};

size_t Forwarder::KeyHash::operator()(const Key& key) const {
  return hash_of(key.client, key.client.port, seed ^ key.target);
}

Forwarder::Forwarder(Options options, uint32_t first_key, Watch watch, bool offloads, Counters counters)
    : options_(std::move(options)),
      first_key_(first_key),
      watch_(std::move(watch)),
      offloads_(offloads),
      counters_(counters),
      flows_(options_.flows_max),
      places_(0, KeyHash{random_seed()}) {
  free_.reserve(flows_.size());
  for (uint32_t place = options_.flows_max; place-- > 0;) free_.push_back(place);
}

Forwarder::~Forwarder() {
  for (uint32_t place = 0; place < flows_.size(); place++) {
    if (flows_[place]) close_flow(place);
  }
}

void Forwarder::forward(const Address& client, uint32_t offset, uint32_t length, uint16_t segment_size,
                        uint64_t now_ns) {
  uint32_t count = static_cast<uint32_t>(options_.targets.size());
  switch (options_.balance) {
    case Balance::all:
      for (uint32_t target = 0; target < count; target++) {
        send_to(target, client, offset, length, segment_size, now_ns);
      }
      return;
    case Balance::source:
      // By the address alone: all ports of a client go to one back end, also those behind another flow of it.
      send_to(static_cast<uint32_t>(hash_of(client, 0, 0) % count), client, offset, length, segment_size,
              now_ns);
      return;
    case Balance::round_robin:
      // A client stays where its first datagram went.
      send_to(kNextTarget, client, offset, length, segment_size, now_ns);
  }
}

void Forwarder::send_to(uint32_t target, const Address& client, uint32_t offset, uint32_t length,
                        uint16_t segment_size, uint64_t now_ns) {
  Flow* flow = find({client, target}, now_ns);
  if (flow == nullptr) {
    counters_.add(Counter::forward_drops, segments_of(length, segment_size));
    return;
  }
  flow->used_ns = now_ns;
  if (flow->waits) unanswered_.splice(unanswered_.end(), unanswered_, *flow->waits);
  if (flow->out.empty()) touched_.push_back(places_.at(flow->key));
  flow->out.add(nullptr, offset, length, segment_size);
  counters_.add(Counter::forwarded, segments_of(length, segment_size));
}

void Forwarder::flush(const ResponderTools& tools, const uint8_t* base) {
  for (uint32_t place : touched_) {
    if (flows_[place]) flows_[place]->out.flush(tools, base);
  }
  touched_.clear();
}

Forwarder::Flow* Forwarder::find(const Key& key, uint64_t now_ns) {
  auto found = places_.find(key);
  return found != places_.end() ? flows_[found->second].get() : open_flow(key, now_ns);
}

Forwarder::Flow* Forwarder::open_flow(const Key& key, uint64_t now_ns) {
  if (free_.empty() && !make_room()) return nullptr;
  size_t number = key.target == kNextTarget ? next_target_++ % options_.targets.size() : key.target;
  const Address& target = options_.targets[number];
  Fd fd;
  if (open_udp(target.family, &fd) != 0 || connect_socket(fd.get(), target) != 0) return nullptr;
  if (offloads_) set_option(fd.get(), target.family, SocketOption::gro, 1);  // where the kernel has it
  uint32_t place = free_.back();
  if (watch_.begin(fd.get(), first_key_ + place) != 0) return nullptr;
  free_.pop_back();
  flows_[place] = std::make_unique<Flow>(key, std::move(fd), target.family, offloads_, counters_);
  flows_[place]->used_ns = now_ns;
  flows_[place]->waits = unanswered_.insert(unanswered_.end(), place);
  places_.emplace(key, place);
  open_++;
  counters_.add(Counter::flows_opened, 1);
  return flows_[place].get();
}

// Closes the flow that waits longest for its first answer.
bool Forwarder::make_room() {
  if (unanswered_.empty()) return false;
  uint32_t oldest = unanswered_.front();
  // It is the batch at hand that has just used it, and with it all the others.
  if (!flows_[oldest]->out.empty()) return false;
  close_flow(oldest);
  return true;
}

void Forwarder::close_flow(uint32_t place) {
  Flow& flow = *flows_[place];
  if (flow.waits) unanswered_.erase(*flow.waits);
  watch_.end(flow.fd.get());
  places_.erase(flow.key);
  flows_[place].reset();
  free_.push_back(place);
  open_--;
}

void Forwarder::ready(const ResponderTools& tools, uint32_t key, Answers& to_clients, uint64_t now_ns) {
  uint32_t place = key - first_key_;
  if (!flows_[place]) return;
  Flow& flow = *flows_[place];
  int got = tools.engine.receive(flow.fd.get(), tools.batch.slots(RxBatch::kSlots));
  if (got < 0) {
    // A back end that is not there (ECONNREFUSED) may come back; the clients will ask again.
    if (on_receive_error(-got) == Action::stop) close_flow(place);
    return;
  }
  uint32_t count = static_cast<uint32_t>(got);
  uint64_t datagrams = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Message& message = tools.batch.message(i);
    uint16_t segment_size = 0;
    if (message.header.msg_controllen > 0) segment_size = decode_control(message.header).segment_size;
    if (segment_size >= message.length) segment_size = 0;
    to_clients.add(&flow.key.client, RxBatch::offset(i), message.length, segment_size);
    datagrams += segments_of(message.length, segment_size);
  }
  flow.used_ns = now_ns;
  if (flow.waits) unanswered_.erase(*flow.waits);
  flow.waits.reset();
  counters_.add(Counter::returned, datagrams);
  to_clients.flush(tools, tools.batch.base());
  tools.batch.recycle(count);
}

void Forwarder::expire(uint64_t now_ns) {
  for (uint32_t place = 0; place < flows_.size(); place++) {
    if (flows_[place] && now_ns - flows_[place]->used_ns >= options_.idle_ns) {
      close_flow(place);
      counters_.add(Counter::flows_expired, 1);
    }
  }
}

}  // namespace ksocket
