// Forwarder: its flows go to another process, which has copies of their descriptors.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/answer/flow.h"
#include "core/answer/forwarder.h"
#include "core/socket/fd_type.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

// Numbers of JavaScript hold them exactly.
constexpr uint64_t kExactMask = (uint64_t{1} << 53) - 1;

uint64_t combine(uint64_t hash, const Address& address) {
  return seeded_hash(hash ^ address.family, address);
}

}  // namespace

uint64_t Forwarder::rule_of(const std::string& name, const Options& options) {
  uint64_t hash = static_cast<uint64_t>(options.balance);
  for (char byte : name) hash = seeded_hash(hash, {static_cast<uint8_t>(byte)});
  for (const Address& target : options.targets) hash = combine(hash, target);
  return hash & kExactMask;
}

int64_t Forwarder::put_rows(uint64_t rule, uint32_t first, size_t rows_max, const KnownFlows& known,
                            uint64_t now_ns, std::vector<FlowRow>* out) const {
  uint32_t place = first;
  size_t before = out->size();
  for (; place < flows_.size() && out->size() - before < rows_max; place++) {
    if (!flows_[place]) continue;
    const Flow& flow = *flows_[place];
    FlowRow row;
    row.serial = static_cast<double>(flow.serial);
    row.rule = static_cast<double>(rule);
    if (!known.contains({rule, flow.serial})) {
      row.fd = fcntl(flow.fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
      if (row.fd < 0) {
        int error = -errno;
        for (size_t i = before; i < out->size(); i++) Fd((*out)[i].fd);
        out->resize(before);
        return error;
      }
    }
    row.target = flow.key.target;
    row.client = flow.key.client;
    row.idle_ns = now_ns - flow.used_ns;
    row.requests = flow.requests;
    row.answers = flow.answers;
    row.has_asked = flow.asked != nullptr;
    if (flow.asked) std::memcpy(row.asked, flow.asked.get(), sizeof row.asked);
    row.hops = flow.hops;
    row.grown = flow.grown;
    row.kernel_drops = flow.drops.seen();
    out->push_back(row);
  }
  return place;
}

// Null where the descriptor is not what a flow of ours has.
std::unique_ptr<Forwarder::Flow> Forwarder::flow_of(const FlowRow& row, Fd fd) const {
  Address target, name;
  int family = fd_family(fd.get());
  if (family != 4 && family != 6) return nullptr;
  if (socket_name(fd.get(), true, &target) != 0 || socket_name(fd.get(), false, &name) != 0) return nullptr;
  bool is_ours =
      row.target == kNextTarget
          ? std::find(options_.targets.begin(), options_.targets.end(), target) != options_.targets.end()
          : row.target < options_.targets.size() && options_.targets[row.target] == target;
  if (!is_ours || (row.client.family != 4 && row.client.family != 6)) return nullptr;
  auto flow =
      std::make_unique<Flow>(Key{row.client, row.target}, std::move(fd), target, offloads_, counters_);
  flow->name = name;
  flow->hops = row.hops;
  flow->grown = row.grown != 0;
  flow->failures = kFailuresToRest;
  flow->drops.wait();
  return flow;
}

void Forwarder::take(const FlowRow& row, Fd fd, uint64_t now_ns) {
  uint64_t serial = whole(row.serial);
  if (serial == 0) return;
  auto found = places_.find({row.client, row.target});
  Flow* flow = found != places_.end() ? flows_[found->second].get() : nullptr;
  if (flow == nullptr || flow->origin != serial) {
    // Its client has another one by now.
    if (flow != nullptr) close_flow(found->second);
    std::unique_ptr<Flow> made = fd ? flow_of(row, std::move(fd)) : nullptr;
    if (!made || (free_.empty() && !make_room())) return;
    made->requests = row.requests;
    made->answers = row.answers;
    flow = add(std::move(made));
    flow->origin = serial;
  }
  flow->is_there = true;
  flow->drops.told(flow->fd.get(), row.kernel_drops);
  flow->requests = row.requests;
  flow->answers = row.answers;
  flow->used_ns = now_ns - std::min(now_ns, row.idle_ns);
  if (!row.has_asked) return;
  if (!flow->asked) flow->asked = std::make_unique<PacketInfo>();
  std::memcpy(flow->asked.get(), row.asked, sizeof row.asked);
}

void Forwarder::mark_absent() {
  for (const auto& flow : flows_) {
    if (flow) flow->is_there = false;
  }
}

void Forwarder::settle() {
  for (uint32_t place = 0; place < flows_.size(); place++) {
    if (flows_[place] && flows_[place]->origin != 0 && !flows_[place]->is_there) close_flow(place);
  }
  for (std::list<uint32_t>& list : evictable_) {
    list.sort([this](uint32_t one, uint32_t other) { return flows_[one]->used_ns < flows_[other]->used_ns; });
  }
}

void Forwarder::stop_drops() {
  for (const auto& flow : flows_) {
    if (flow) flow->drops.stop(flow->fd.get(), counters_);
  }
}

void Forwarder::count_drops() {
  for (const auto& flow : flows_) {
    if (flow) flow->drops.go_on();
  }
}

void Forwarder::begin() {
  for (uint32_t place = 0; place < flows_.size(); place++) {
    if (!flows_[place] || std::exchange(flows_[place]->origin, 0) == 0) continue;
    flows_[place]->drops.begin(flows_[place]->fd.get());
    if (flows_[place]->failures >= kFailuresToRest) end_rest(place);  // or expire() was here before
  }
}

}  // namespace ksocket
