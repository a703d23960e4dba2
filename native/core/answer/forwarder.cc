#include "core/answer/forwarder.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/answer/flow.h"
#include "core/answer/protection/source.h"
#include "core/base/errno_policy.h"
#include "core/base/hash.h"
#include "core/socket/kernel_drops.h"
#include "core/socket/options.h"
#include "core/socket/receive_buffer.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

// A descriptor is the lowest number that is free (open(2)): how large it is says how many there are.
bool is_needed(int fd) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  return static_cast<uint64_t>(fd) >= limit.rlim_cur - kept_free(limit.rlim_cur);
}

}  // namespace

size_t Forwarder::KeyHash::operator()(const Key& key) const {
  return seeded_hash(seed ^ key.target, key.client);
}

Forwarder::Forwarder(Options options, uint32_t first_key, Host host, bool offloads, Counters counters)
    : options_(std::move(options)),
      first_key_(first_key),
      host_(std::move(host)),
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

void Forwarder::forward(const Address& client, const uint8_t* base, uint32_t offset, uint32_t length,
                        uint16_t segment_size, uint8_t hops, uint64_t now_ns, const PacketInfo* asked) {
  Part part{base, offset, length, segment_size, hops, asked};
  uint32_t count = static_cast<uint32_t>(options_.targets.size());
  switch (options_.balance) {
    case Balance::all:
      for (uint32_t target = 0; target < count; target++) send_to(target, client, part, now_ns);
      return;
    case Balance::source: {
      // By the address alone: all ports of a client go to one back end, also those behind another flow of it.
      Address host = client;
      host.port = 0;
      send_to(static_cast<uint32_t>(seeded_hash(0, host) % count), client, part, now_ns);
      return;
    }
    case Balance::round_robin:
      // A client stays where its first datagram went.
      send_to(kNextTarget, client, part, now_ns);
  }
}

void Forwarder::send_to(uint32_t target, const Address& client, const Part& part, uint64_t now_ns) {
  uint32_t count = segments_of(part.length, part.segment_size);
  Flow* flow = came_too_far(part) ? nullptr : find({client, target}, part, now_ns);
  if (flow == nullptr) {
    counters_.add(Counter::forward_drops, count);
    return;
  }
  flow->requests += count;
  if (part.asked != nullptr) {
    if (!flow->asked) flow->asked = std::make_unique<PacketInfo>();
    *flow->asked = *part.asked;
  }
  touch(*flow, now_ns);
  if (host_.loops != nullptr && part.hops != 0) limit_hops(*flow, part.hops - 1);
  if (flow->out.empty()) touched_.push_back(places_.at(flow->key));
  flow->out.add(nullptr, part.offset, part.length, part.segment_size);
  counters_.add(Counter::forwarded, count);
}

void Forwarder::flush(const ResponderTools& tools, const uint8_t* base) {
  for (uint32_t place : touched_) {
    if (flows_[place]) flows_[place]->out.flush(tools, base);
  }
  touched_.clear();
}

Forwarder::Flow* Forwarder::find(const Key& key, const Part& part, uint64_t now_ns) {
  auto found = places_.find(key);
  return found != places_.end() ? flows_[found->second].get() : open_flow(key, part, now_ns);
}

// A client that is a flow of ours would be another one's client next, and so on.
Forwarder::Flow* Forwarder::open_flow(const Key& key, const Part& part, uint64_t now_ns) {
  if (host_.loops != nullptr && host_.loops->has_own(key.client)) {
    counters_.add(Counter::loop_sources, 1);
    return nullptr;
  }
  FlowRepeats* repeats = host_.loops != nullptr ? host_.loops->flow_repeats() : nullptr;
  std::span<const uint8_t> payload(part.base + part.offset, first_length(part.length, part.segment_size));
  bool repeated = repeats != nullptr && repeats->repeats(key.target, payload);
  auto may_evict = [&] {
    if (!repeated || repeats->may_evict(key.client, now_ns)) return true;
    counters_.add(Counter::loop_repeats, 1);
    return false;
  };
  if (free_.empty() && !(may_evict() && make_room())) return nullptr;
  size_t number = key.target == kNextTarget ? next_target_++ % options_.targets.size() : key.target;
  const Address& target = options_.targets[number];
  Fd fd;
  Address name;
  int error = open_socket(target, &fd, &name);
  if (means_exhausted(-error) && may_evict() && (make_room() || (host_.make_room && host_.make_room()))) {
    error = open_socket(target, &fd, &name);
  }
  if (error != 0) return nullptr;
  auto flow = std::make_unique<Flow>(key, std::move(fd), target, offloads_, counters_);
  flow->used_ns = now_ns;
  flow->name = name;
  return add(std::move(flow));
}

// At the place that is next.
Forwarder::Flow* Forwarder::add(std::unique_ptr<Flow> flow) {
  uint32_t place = free_.back();
  free_.pop_back();
  flow->serial = ++latest_serial_;
  flow->listed = flow->answered();
  if (flow->listed < kAnswersToStay) {
    std::list<uint32_t>& list = evictable_[flow->listed];
    flow->evictable = list.insert(list.end(), place);
  }
  places_.emplace(flow->key, place);
  if (host_.loops != nullptr) host_.loops->add_own(flow->name);
  open_++;
  counters_.add(Counter::flows_opened, 1);
  flows_[place] = std::move(flow);
  return flows_[place].get();
}

// A socket connected to the target and watched with the key of the place that is next; 0 or -errno.
int Forwarder::open_socket(const Address& target, Fd* out, Address* name) {
  Fd fd;
  if (int error = open_datagram(target.family, &fd); error != 0) return error;
  if (is_needed(fd.get())) return -EMFILE;
  if (int error = connect_socket(fd.get(), target); error != 0) return error;
  if (int error = socket_name(fd.get(), false, name); error != 0) return error;
  if (offloads_) set_option(fd.get(), target.family, SocketOption::gro, 1);  // where the kernel has it
  if (int error = host_.watch(fd.get(), first_key_ + free_.back()); error != 0) return error;
  *out = std::move(fd);
  return 0;
}

bool Forwarder::make_room() {
  for (const std::list<uint32_t>& list : evictable_) {
    // If the batch at hand has just used the first one, it has used them all.
    if (list.empty() || !flows_[list.front()]->out.empty()) continue;
    close_flow(list.front());
    counters_.add(Counter::flows_evicted, 1);
    return true;
  }
  return false;
}

bool Forwarder::came_too_far(const Part& part) {
  if (host_.loops == nullptr || part.hops != 1) return false;
  counters_.add(Counter::loop_repeats, segments_of(part.length, part.segment_size));
  return true;
}

// For all that waits to be sent: the fewest hops of it hold.
void Forwarder::limit_hops(Flow& flow, uint8_t hops) {
  if (flow.hops == hops || (flow.hops != 0 && flow.hops < hops && !flow.out.empty())) return;
  if (set_option(flow.fd.get(), flow.hops_family, SocketOption::ttl, hops) == 0) flow.hops = hops;
}

// Something has come from one of its sides.
void Forwarder::touch(Flow& flow, uint64_t now_ns) {
  flow.used_ns = now_ns;
  if (flow.listed >= kAnswersToStay) return;
  std::list<uint32_t>& from = evictable_[flow.listed];
  flow.listed = flow.answered();
  if (flow.listed >= kAnswersToStay) {
    from.erase(flow.evictable);
  } else {
    std::list<uint32_t>& to = evictable_[flow.listed];
    to.splice(to.end(), from, flow.evictable);
  }
}

void Forwarder::close_flow(uint32_t place) {
  Flow& flow = *flows_[place];
  if (flow.listed < kAnswersToStay) evictable_[flow.listed].erase(flow.evictable);
  host_.unwatch(flow.fd.get());
  flow.drops.refresh(flow.fd.get(), counters_);
  if (host_.loops != nullptr) host_.loops->remove_own(flow.name);
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
    failed(place, -got);
    return;
  }
  flow.failures = 0;
  uint32_t count = static_cast<uint32_t>(got);
  // Where something was dropped a full buffer is read.
  if (count > 1) flow.drops.refresh(flow.fd.get(), counters_);
  if (count >= kGrowAtMessages && !std::exchange(flow.grown, true))
    resize_receive_buffer(flow.fd.get(), flow.hops_family, kBurstBufferBytes);
  uint64_t datagrams = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Message& message = tools.batch.message(i);
    uint16_t segment_size = 0;
    if (message.header.msg_controllen > 0) segment_size = decode_control(message.header).segment_size;
    if (segment_size >= message.length) segment_size = 0;
    uint32_t segments = segments_of(message.length, segment_size);
    datagrams += segments;
    std::span<const uint8_t> payload(tools.batch.base() + RxBatch::offset(i), message.length);
    if (to_clients.admits(flow.key.client, payload, segments, LoopGuard::Kind::reply)) {
      to_clients.add(&flow.key.client, RxBatch::offset(i), message.length, segment_size, flow.asked.get());
    }
  }
  flow.answers += datagrams;
  touch(flow, now_ns);
  counters_.add(Counter::returned, datagrams);
  RxRound& round = tools.round;
  round.datagrams += static_cast<uint32_t>(datagrams);
  round.forwarded += static_cast<uint32_t>(datagrams);
  round.returned += static_cast<uint32_t>(datagrams);
  if (count == RxBatch::kSlots) round.filled = true;
  to_clients.flush(tools, tools.batch.base());
  tools.batch.recycle(count);
}

void Forwarder::failed(uint32_t place, int error) {
  Flow& flow = *flows_[place];
  Action action = on_receive_error(error);
  if (action == Action::stop) return close_flow(place);
  // What is reported, an answer to an earlier datagram (ECONNREFUSED), is reported once: the back end may
  // come back, and the clients will ask again.
  if (action == Action::report) return;
  if (++flow.failures == kFailuresToRest) host_.unwatch(flow.fd.get());
}

void Forwarder::expire(uint64_t now_ns) {
  for (uint32_t place = 0; place < flows_.size(); place++) {
    if (!flows_[place]) continue;
    Flow& flow = *flows_[place];
    if (now_ns - flow.used_ns >= options_.idle_ns) {
      close_flow(place);
      counters_.add(Counter::flows_expired, 1);
    } else if (flow.failures >= kFailuresToRest) {
      end_rest(place);
    }
  }
}

void Forwarder::end_rest(uint32_t place) {
  Flow& flow = *flows_[place];
  flow.failures = kFailuresToRest - 1;
  if (host_.watch(flow.fd.get(), first_key_ + place) != 0) close_flow(place);
}

}  // namespace ksocket
