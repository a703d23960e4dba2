// IoThreadObject: who answers a socket's datagrams on the thread, and what JavaScript is told of them. The
// first argument of each call is the socket's id.
#include "bridge/io_thread_object.h"
#include "bridge/protection_arguments.h"
#include "core/answer/fixed_responder.h"
#include "core/answer/guarded_responder.h"
#include "core/answer/handler_responder.h"
#include "core/answer/protection/filter.h"
#include "core/answer/rule_responder.h"
#include "core/answer/rules/decode.h"
#include "core/base/clock.h"
#include "core/base/room.h"
#include "core/socket/filter.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

// { targets: { family, address, port }[], balance, idleMs, flows }; 0 or -errno.
int forward_options(Reader& reader, const Napi::Value& given, Forwarder::Options* out) {
  for (const auto& target : reader.elements(reader.get(given, "targets"))) {
    if (int error = address_of(reader, target, &out->targets.emplace_back())) return error;
  }
  out->balance = static_cast<Forwarder::Balance>(u32(reader.get(given, "balance")));
  out->idle_ns = uint64_t{u32(reader.get(given, "idleMs"))} * 1'000'000;
  out->flows_max = u32(reader.get(given, "flows"));
  return reader.error();
}

// Null when the socket answers in another way.
RuleResponder* rule_responder(Endpoint& endpoint) {
  return endpoint.responder ? endpoint.responder->by_rules() : nullptr;
}

}  // namespace

std::vector<IoThreadObject::PropertyDescriptor> IoThreadObject::server_methods() {
  using Self = IoThreadObject;
  return {InstanceMethod<&Self::guard_loops>("guardLoops"),
          InstanceMethod<&Self::find_own>("findOwn"),
          InstanceMethod<&Self::respond>("respond"),
          InstanceMethod<&Self::set_rules>("setRules"),
          InstanceMethod<&Self::get_rule_hits>("getRuleHits"),
          InstanceMethod<&Self::load_handler>("loadHandler"),
          InstanceMethod<&Self::protect>("protect"),
          InstanceMethod<&Self::deliver>("deliver"),
          InstanceMethod<&Self::measure_latency>("measureLatency")};
}

// guardLoops(id, { servicePorts: number[], servicesGetReplies, repeats?: { rate, burst } }): after bind(),
// before it is set who answers.
Napi::Value IoThreadObject::guard_loops(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    LoopGuard::Options options;
    if (int error = socket_name(endpoint.fd.get(), false, &options.own); error != 0) return error;
    Reader reader(env_);
    for (const auto& port : reader.elements(reader.get(info[1], "servicePorts"))) {
      options.service_ports.push_back(static_cast<uint16_t>(u32(port)));
    }
    options.services_get_replies = boolean(reader.get(info[1], "servicesGetReplies"));
    options.repeats = rate_limit(reader, reader.get(info[1], "repeats"));
    if (reader.error() != 0) return reader.error();
    endpoint.loops = std::make_unique<LoopGuard>(std::move(options), endpoint.counters);
    return 0;
  });
}

// findOwn(id, { family, address, port }[]) → which of these is where the socket itself listens, or -1; after
// bind().
Napi::Value IoThreadObject::find_own(const Napi::CallbackInfo& info) {
  Address own;
  LocalAddresses local;
  auto endpoint = find(info[0]);
  if (!endpoint || socket_name(endpoint->fd.get(), false, &own) != 0) return number(info.Env(), -1);
  Reader reader(env_);
  std::vector<Napi::Value> targets = reader.elements(info[1]);
  for (size_t i = 0; i < targets.size(); i++) {
    Address target;
    if (address_of(reader, targets[i], &target) == 0 &&
        listens_on(own, target, local, clock_ns(CLOCK_MONOTONIC))) {
      return number(info.Env(), static_cast<int>(i));
    }
  }
  return number(info.Env(), -1);
}

// respond(id, { echo, reply: Uint8Array, keepBytesMax, target?: { family, address, port } }): before watch().
// Without a target it answers each source; else a second socket is made and connected to it.
Napi::Value IoThreadObject::respond(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Reader reader(env_);
    FixedResponder::Options options;
    options.kind =
        boolean(reader.get(info[1], "echo")) ? FixedResponder::Kind::echo : FixedResponder::Kind::fixed;
    std::span<const uint8_t> reply = bytes(reader.get(info[1], "reply"));
    options.reply.assign(reply.begin(), reply.end());
    options.family = endpoint.family;
    options.loops = endpoint.loops.get();
    uint32_t keep_bytes_max = u32(reader.get(info[1], "keepBytesMax"));
    Napi::Value to = reader.get(info[1], "target");
    if (reader.error() != 0) return reader.error();
    if (!to.IsUndefined()) {
      Address target;
      int error = address_of(reader, to, &target);
      if (error == 0) error = open_datagram(target.family, &options.target);
      if (error == 0) error = connect_socket(options.target.get(), target);
      if (error != 0) return error;
      options.family = target.family;
    }
    endpoint.responder = std::make_unique<FixedResponder>(std::move(options), endpoint.fd.get(),
                                                          keep_bytes_max, offloads(), endpoint.counters);
    return 0;
  });
}

// setRules(id, { bytes, names, forwards }): answers by rules; after bind(), and again whenever they change.
Napi::Value IoThreadObject::set_rules(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Address local;
    if (socket_name(endpoint.fd.get(), false, &local) != 0) return -EBADF;
    Reader reader(env_);
    std::optional<rules::RuleSpec> spec = rules::decode_rules(bytes(reader.get(info[1], "bytes")));
    std::vector<std::string> names;
    for (const auto& name : reader.elements(reader.get(info[1], "names"))) names.push_back(text(name));
    std::vector<Forwarder::Options> forwards;
    for (const auto& forward : reader.elements(reader.get(info[1], "forwards"))) {
      if (int error = forward_options(reader, forward, &forwards.emplace_back())) return error;
    }
    if (reader.error() != 0) return reader.error();
    if (!spec || names.size() != spec->rules.size() || forwards.size() != spec->forwards) return -EINVAL;
    size_t flows = 0;
    for (const Forwarder::Options& forward : forwards) flows += forward.flows_max;
    if (!has_room(flows * Forwarder::kPlaceBytes)) return -ENOMEM;
    RuleResponder* present = rule_responder(endpoint);
    // What was received before the kernel was asked for more is answered by the rules until now.
    if (present != nullptr) std::lock_guard settled(endpoint.rx_mutex);
    RuleResponder& responder = present != nullptr ? *present : answer_by_rules(endpoint, local);
    responder.update(std::move(*spec), std::move(names), std::move(forwards));
    return 0;
  });
}

RuleResponder& IoThreadObject::answer_by_rules(Endpoint& endpoint, const Address& own) {
  uint32_t id = endpoint.id;
  Engine& engine = thread_->engine();
  Forwarder::Host host{
      [&engine, id](int fd, uint32_t key) { return engine.watch(fd, responder_token(id, key), kReadable); },
      [&engine](int fd) { engine.unwatch(fd); }};
  auto made = std::make_unique<RuleResponder>(endpoint.fd.get(), own, std::move(host), offloads(),
                                              endpoint.loops.get(), endpoint.counters);
  RuleResponder& out = *made;
  endpoint.responder = std::move(made);
  return out;
}

// getRuleHits(id) → how often each rule has matched
Napi::Value IoThreadObject::get_rule_hits(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  RuleResponder* responder = endpoint ? rule_responder(*endpoint) : nullptr;
  Napi::Array out = Napi::Array::New(info.Env());
  if (responder == nullptr) return out;
  uint32_t i = 0;
  for (uint64_t hits : responder->hits()) out.Set(i++, number(info.Env(), hits));
  return out;
}

// loadHandler(id, { path, argument }) → "" or what is wrong: a shared object answers; after bind() and before
// watch().
Napi::Value IoThreadObject::load_handler(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  Address local;
  if (!endpoint || socket_name(endpoint->fd.get(), false, &local) != 0) {
    return Napi::String::New(info.Env(), "the socket is closed");
  }
  Reader reader(env_);
  std::string path = text(reader.get(info[1], "path")), argument = text(reader.get(info[1], "argument"));
  if (reader.error() != 0) return Napi::String::New(info.Env(), "the worker is being ended");
  std::string error;
  auto handler = Handler::load(path, argument, &error);
  if (handler) {
    endpoint->responder =
        std::make_unique<HandlerResponder>(std::move(handler), endpoint->fd.get(), endpoint->family,
                                           local.port, offloads(), endpoint->loops.get(), endpoint->counters);
  }
  return Napi::String::New(info.Env(), error);
}

// protect(id, options): as guard_options() reads them; after the answering is set and before watch(), and of
// one that is protected then again whenever they change.
Napi::Value IoThreadObject::protect(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Reader reader(env_);
    auto options = std::make_unique<GuardedResponder::Options>();
    if (int error = guard_options(reader, info[1], options.get())) return error;
    Napi::Value given = reader.get(info[1], "before");
    if (reader.error() != 0) return reader.error();
    const AddressSet* allow = options->allow ? &*options->allow : nullptr;
    std::vector<sock_filter> filter = compile_filter(options->deny, allow, endpoint.family);
    std::vector<sock_filter> before;
    if (!given.IsUndefined()) {
      if (int error = instructions(bytes(given), &before)) return error;
      if (filter.empty()) filter.push_back(BPF_STMT(BPF_RET | BPF_K, UINT32_MAX));
      filter.insert(filter.begin(), before.begin(), before.end());
    }
    if (options->per_source && !has_room(size_t{options->sources} * TokenBuckets::kPlaceBytes))
      return -ENOMEM;
    GuardedResponder* present = endpoint.responder ? endpoint.responder->guard() : nullptr;
    if (present != nullptr) {
      std::lock_guard lock(endpoint.rx_mutex);
      present->update(options);
    } else {
      endpoint.responder = std::make_unique<GuardedResponder>(
          std::move(*options), std::move(endpoint.responder), endpoint.counters);
    }
    // An optimisation only: where the kernel does not take the filter, the thread drops the same datagrams.
    if (filter.empty() || attach_filter(endpoint.fd.get(), filter) != 0) detach_filter(endpoint.fd.get());
    return 0;
  });
}

// deliver(id, wanted: boolean): put this socket's datagrams into the ring at all?
Napi::Value IoThreadObject::deliver(const Napi::CallbackInfo& info) {
  if (auto endpoint = find(info[0])) endpoint->deliver.store(boolean(info[1]));
  return info.Env().Undefined();
}

// measureLatency(id, cells: BigUint64Array | null): counts into these kLatencyCells from now on, or no more
Napi::Value IoThreadObject::measure_latency(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    bool wanted = !info[1].IsNull();
    if (wanted) thread_->tick(endpoint);  // whoever looks on from another thread can ask nobody
    std::lock_guard lock(endpoint.rx_mutex);
    int error = ksocket::set_option(endpoint.fd.get(), endpoint.family, SocketOption::receive_times,
                                    wanted || endpoint.receive_times);
    endpoint.latency = wanted && error == 0 ? LatencyHistogram(reinterpret_cast<uint64_t*>(pin(info[1])))
                                            : LatencyHistogram();
    return error;
  });
}

}  // namespace ksocket
