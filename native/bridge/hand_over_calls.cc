// IoThreadObject: a socket, or what answers there, goes to another process. The first argument of each call
// is the socket's id.
#include <cstring>
#include <limits>
#include <optional>

#include "bridge/io_thread_object.h"
#include "core/answer/guarded_responder.h"
#include "core/answer/rule_responder.h"
#include "core/socket/bound_path.h"

namespace ksocket {

namespace {

RuleResponder* rule_responder(Endpoint& endpoint) {
  return endpoint.responder ? endpoint.responder->by_rules() : nullptr;
}

// Rows, from JavaScript's memory, which is aligned as it likes.
std::vector<FlowRow> rows_of(std::span<const uint8_t> given) {
  std::vector<FlowRow> rows(given.size() / sizeof(FlowRow));
  if (!rows.empty()) std::memcpy(rows.data(), given.data(), rows.size() * sizeof(FlowRow));
  return rows;
}

Napi::Value float64s(Napi::Env env, std::span<const double> given) {
  Napi::Float64Array out = Napi::Float64Array::New(env, given.size());
  if (!given.empty()) std::memcpy(out.Data(), given.data(), given.size_bytes());
  return out;
}

}  // namespace

std::vector<IoThreadObject::PropertyDescriptor> IoThreadObject::hand_over_methods() {
  using Self = IoThreadObject;
  return {InstanceMethod<&Self::watch_again>("watchAgain"),
          InstanceMethod<&Self::get_file>("getFile"),
          InstanceMethod<&Self::grow_receive_buffer>("growReceiveBuffer"),
          InstanceMethod<&Self::keep_file>("keepFile"),
          InstanceMethod<&Self::take_file>("takeFile"),
          InstanceMethod<&Self::get_flows>("getFlows"),
          InstanceMethod<&Self::take_flows>("takeFlows"),
          InstanceMethod<&Self::begin_flows>("beginFlows"),
          InstanceMethod<&Self::get_tallies>("getTallies"),
          InstanceMethod<&Self::set_tallies>("setTallies"),
          InstanceMethod<&Self::stop_drops>("stopDrops"),
          InstanceMethod<&Self::tell_drops>("tellDrops")};
}

// watchAgain(id): takes unwatch() back
Napi::Value IoThreadObject::watch_again(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    {
      std::lock_guard lock(endpoint.rx_mutex);
      endpoint.kernel_drops.go_on();
      if (RuleResponder* responder = rule_responder(endpoint)) responder->count_drops();
    }
    return thread_->watch_again(endpoint);
  });
}

// stopDrops(id) → the kernel's drops that are counted; those from now on are another process's, also of its
// flows. Until watchAgain()
Napi::Value IoThreadObject::stop_drops(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    std::lock_guard lock(endpoint.rx_mutex);
    if (RuleResponder* responder = rule_responder(endpoint)) responder->stop_drops();
    return number(info.Env(), uint64_t{endpoint.kernel_drops.stop(endpoint.fd.get(), endpoint.counters)});
  });
}

// tellDrops(id, total): so many of the adopted descriptor's are counted; undefined: those that there are
Napi::Value IoThreadObject::tell_drops(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    std::optional<uint32_t> total;
    if (info[1].IsNumber()) total = u32(info[1]);
    std::lock_guard lock(endpoint.rx_mutex);
    endpoint.kernel_drops.told(endpoint.fd.get(), total);
    return 0;
  });
}

// getFlows(id, from, rowsMax, known: Float64Array of rule and serial) → two doubles, where to go on
// (Infinity: nowhere; or -errno) and the bytes of a FlowRow, and the FlowRows
Napi::Value IoThreadObject::get_flows(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  RuleResponder* responder = endpoint ? rule_responder(*endpoint) : nullptr;
  RuleResponder::Flows flows{{}, responder == nullptr ? -EBADF : 0};
  if (responder != nullptr) {
    Napi::Float64Array given = info[3].As<Napi::Float64Array>();
    KnownFlows known;
    for (size_t i = 0; i + 1 < given.ElementLength(); i += 2) {
      known.insert({whole(given[i]), whole(given[i + 1])});
    }
    std::lock_guard lock(endpoint->rx_mutex);
    flows = responder->flows(u32(info[1]), u32(info[2]), known);
  }
  double next = flows.next == RuleResponder::kNoMoreFlows ? std::numeric_limits<double>::infinity()
                                                          : static_cast<double>(flows.next);
  size_t bytes = flows.rows.size() * sizeof(FlowRow);
  double header[2] = {next, sizeof(FlowRow)};
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), sizeof header + bytes);
  std::memcpy(out.Data(), header, sizeof header);
  if (bytes > 0) std::memcpy(out.Data() + sizeof header, flows.rows.data(), bytes);
  return out;
}

// takeFlows(id, rows: Uint8Array, fds: Int32Array, all): the descriptors are native code's from now on
Napi::Value IoThreadObject::take_flows(const Napi::CallbackInfo& info) {
  Napi::Int32Array given = info[2].As<Napi::Int32Array>();
  std::span<const int32_t> fds(given.Data(), given.ElementLength());
  auto endpoint = find(info[0]);
  RuleResponder* responder = endpoint ? rule_responder(*endpoint) : nullptr;
  if (responder == nullptr) {
    for (int32_t fd : fds) Fd{fd};
    return number(info.Env(), -EBADF);
  }
  std::vector<FlowRow> rows = rows_of(bytes(info[1]));
  std::lock_guard lock(endpoint->rx_mutex);
  responder->take_flows(rows, fds, boolean(info[3]));
  return number(info.Env(), 0);
}

// beginFlows(id): answers of their back ends are read
Napi::Value IoThreadObject::begin_flows(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    RuleResponder* responder = rule_responder(endpoint);
    if (responder == nullptr) return -EBADF;
    std::lock_guard lock(endpoint.rx_mutex);
    responder->begin_flows();
    return 0;
  });
}

// getFile(id) → as BoundPath::file() of a local socket that takes its file away; else ""
Napi::Value IoThreadObject::get_file(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  bool has_file = endpoint && endpoint->local && endpoint->local->bound_path;
  return Napi::String::New(info.Env(), has_file ? endpoint->local->bound_path->file() : "");
}

// growReceiveBuffer(id, largest)
Napi::Value IoThreadObject::grow_receive_buffer(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    std::lock_guard lock(endpoint.rx_mutex);
    endpoint.receive_buffer.grow(endpoint.fd.get(), endpoint.family, i32(info[1]));
    return 0;
  });
}

// keepFile(id): it stays when the socket closes
Napi::Value IoThreadObject::keep_file(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (endpoint && endpoint->local && endpoint->local->bound_path) endpoint->local->bound_path->keep();
  return info.Env().Undefined();
}

// takeFile(id, file): it goes when the socket closes
Napi::Value IoThreadObject::take_file(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (endpoint && endpoint->local) endpoint->local->bound_path = path_of(text(info[1]));
  return info.Env().Undefined();
}

// getTallies(id) → Float64Array: matches and answers of each rule
Napi::Value IoThreadObject::get_tallies(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  RuleResponder* responder = endpoint ? rule_responder(*endpoint) : nullptr;
  if (responder == nullptr) return float64s(info.Env(), {});
  std::lock_guard lock(endpoint->rx_mutex);
  return float64s(info.Env(), responder->tallies());
}

// setTallies(id, tallies: Float64Array)
Napi::Value IoThreadObject::set_tallies(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    RuleResponder* responder = rule_responder(endpoint);
    if (responder == nullptr) return -EBADF;
    Napi::Float64Array given = info[1].As<Napi::Float64Array>();
    std::lock_guard lock(endpoint.rx_mutex);
    responder->set_tallies({given.Data(), given.ElementLength()});
    return 0;
  });
}

}  // namespace ksocket
