#include "bridge/io_thread_object.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "core/answer/fixed_responder.h"
#include "core/answer/guarded_responder.h"
#include "core/answer/handler_responder.h"
#include "core/answer/protection/filter.h"
#include "core/answer/rule_responder.h"
#include "core/answer/rules/decode.h"
#include "core/contract/open_flags.h"
#include "core/socket/fd_type.h"
#include "core/socket/multicast.h"
#include "core/socket/options.h"
#include "engine/choose.h"

namespace ksocket {

namespace {

uint32_t u32(const Napi::Value& value) {
  return value.As<Napi::Number>().Uint32Value();
}

Napi::Value number(Napi::Env env, int value) {
  return Napi::Number::New(env, value);
}

// The family's number, as in a descriptor; text and port as the caller validated them.
int address_of(uint8_t family, const Napi::Value& text, const Napi::Value& port, Address* out) {
  return parse_address(family, text.As<Napi::String>().Utf8Value(), static_cast<uint16_t>(u32(port)), out);
}

std::vector<Napi::Value> elements(const Napi::Value& array) {
  Napi::Array given = array.As<Napi::Array>();
  std::vector<Napi::Value> out;
  for (uint32_t i = 0; i < given.Length(); i++) out.push_back(given.Get(i));
  return out;
}

// { targets: [family, address, port][], balance, idleMs, flows }; 0 or -errno.
int forward_options(const Napi::Object& given, Forwarder::Options* out) {
  for (const auto& target : elements(given.Get("targets"))) {
    Napi::Array parts = target.As<Napi::Array>();
    int error = address_of(static_cast<uint8_t>(u32(parts.Get(0u))), parts.Get(1u), parts.Get(2u),
                           &out->targets.emplace_back());
    if (error != 0) return error;
  }
  out->balance = static_cast<Forwarder::Balance>(u32(given.Get("balance")));
  out->idle_ns = uint64_t{u32(given.Get("idleMs"))} * 1'000'000;
  out->flows_max = u32(given.Get("flows"));
  return 0;
}

// Null when the socket answers in another way.
RuleResponder* rule_responder(Endpoint& endpoint) {
  return endpoint.responder ? endpoint.responder->by_rules() : nullptr;
}

std::optional<AddressSet> address_set(const Napi::Value& encoded) {
  Napi::Uint8Array bytes = encoded.As<Napi::Uint8Array>();
  return AddressSet::decode({bytes.Data(), bytes.ByteLength()});
}

// [datagrams a second, datagrams at once, …]
RateLimit rate_limit(const Napi::Value& given) {
  Napi::Array pair = given.As<Napi::Array>();
  return {u32(pair.Get(0u)), u32(pair.Get(1u))};
}

}  // namespace

Napi::Function IoThreadObject::define(Napi::Env env) {
  using Self = IoThreadObject;
  return DefineClass(env, "IoThread",
                     {
                         InstanceMethod<&Self::start>("start"),
                         InstanceMethod<&Self::stop>("stop"),
                         InstanceMethod<&Self::engine_name>("engineName"),
                         InstanceMethod<&Self::add_counters>("addCounters"),
                         InstanceMethod<&Self::open>("open"),
                         InstanceMethod<&Self::adopt>("adopt"),
                         InstanceMethod<&Self::fd>("fd"),
                         InstanceMethod<&Self::copy_fd>("copyFd"),
                         InstanceMethod<&Self::bind>("bind"),
                         InstanceMethod<&Self::connect>("connect"),
                         InstanceMethod<&Self::disconnect>("disconnect"),
                         InstanceMethod<&Self::respond>("respond"),
                         InstanceMethod<&Self::rules>("rules"),
                         InstanceMethod<&Self::rule_hits>("ruleHits"),
                         InstanceMethod<&Self::handle>("handle"),
                         InstanceMethod<&Self::protect>("protect"),
                         InstanceMethod<&Self::watch>("watch"),
                         InstanceMethod<&Self::close>("close"),
                         InstanceMethod<&Self::name>("name"),
                         InstanceMethod<&Self::set_option>("setOption"),
                         InstanceMethod<&Self::get_option>("getOption"),
                         InstanceMethod<&Self::membership>("membership"),
                         InstanceMethod<&Self::multicast_interface>("multicastInterface"),
                         InstanceMethod<&Self::deliver>("deliver"),
                         InstanceMethod<&Self::measure_latency>("measureLatency"),
                         InstanceMethod<&Self::backlog>("backlog"),
                         InstanceMethod<&Self::send>("send"),
                         InstanceMethod<&Self::notify_drained>("notifyDrained"),
                         InstanceMethod<&Self::resume>("resume"),
                         InstanceMethod<&Self::ref>("ref"),
                         InstanceMethod<&Self::unref>("unref"),
                     });
}

// new IoThread({ control, descriptors, arena, txDescriptors, txArena, engine, busyPoll, rxUsecs,
// rxFrames, adaptiveRx, shareLoop, onWake })
IoThreadObject::IoThreadObject(const Napi::CallbackInfo& info) : ObjectWrap(info), env_(info.Env()) {
  Napi::Object given = info[0].As<Napi::Object>();
  size_t descriptor_bytes, arena_bytes, tx_descriptor_bytes;
  ring_.control = reinterpret_cast<RingControl*>(pin_view(given.Get("control")));
  ring_.descriptors = reinterpret_cast<Descriptor*>(pin(given.Get("descriptors"), &descriptor_bytes));
  ring_.slots = static_cast<uint32_t>(descriptor_bytes / sizeof(Descriptor));
  ring_.arena = pin(given.Get("arena"), &arena_bytes);
  ring_.arena_bytes = static_cast<uint32_t>(arena_bytes);
  tx_descriptors_ = reinterpret_cast<Descriptor*>(pin(given.Get("txDescriptors"), &tx_descriptor_bytes));
  tx_slots_ = static_cast<uint32_t>(tx_descriptor_bytes / sizeof(Descriptor));
  tx_arena_ = pin(given.Get("txArena"));
  engine_wanted_ = given.Get("engine").As<Napi::String>().Utf8Value();
  options_.busy_poll_us = u32(given.Get("busyPoll"));
  options_.moderation = {u32(given.Get("rxUsecs")), u32(given.Get("rxFrames")),
                         given.Get("adaptiveRx").As<Napi::Boolean>().Value()};
  share_loop_ = given.Get("shareLoop").As<Napi::Boolean>().Value();
  on_wake_ = Napi::Persistent(given.Get("onWake").As<Napi::Function>());
}

IoThreadObject::~IoThreadObject() {
  tear_down();
}

uint8_t* IoThreadObject::pin(const Napi::Value& array_buffer, size_t* bytes) {
  Napi::ArrayBuffer buffer = array_buffer.As<Napi::ArrayBuffer>();
  pinned_.push_back(Napi::Persistent(buffer.As<Napi::Object>()));
  if (bytes != nullptr) *bytes = buffer.ByteLength();
  return static_cast<uint8_t*>(buffer.Data());
}

uint8_t* IoThreadObject::pin_view(const Napi::Value& typed_array) {
  void* data = nullptr;
  napi_get_typedarray_info(env_, typed_array, nullptr, nullptr, &data, nullptr, nullptr);
  pinned_.push_back(Napi::Persistent(typed_array.As<Napi::Object>()));
  return static_cast<uint8_t*>(data);
}

// ---- life

Napi::Value IoThreadObject::start(const Napi::CallbackInfo& info) {
  if (thread_) return number(info.Env(), -EALREADY);
  ChosenEngine chosen = choose_engine(engine_wanted_);
  if (!chosen.engine) return number(info.Env(), chosen.error);
  if (waker_.open(env_, on_wake_.Value()) != napi_ok) return number(info.Env(), -ENOMEM);
  // A thread-safe function adds its own cleanup hook when it is made, and hooks run in reverse: ours, added
  // after it, joins the thread while the function can still be called.
  napi_add_env_cleanup_hook(env_, &IoThreadObject::on_environment_end, this);
  thread_ = std::make_unique<IoThread>(std::move(chosen.engine), ring_, counters_of(0), options_,
                                       [this] { waker_.wake(); });
  if (share_loop_ && thread_->engine().exclusive() &&
      loop_watch_.open(
          env_, on_wake_.Value(), [this](uint32_t place) { return thread_->receive_on_loop(place); },
          [this] { thread_->before_poll(); })) {
    thread_->share({loop_watch_.epoll_fd(), [this] { return loop_watch_.add_place(); },
                    [this] { loop_watch_.ask_before_poll(); }});
  }
  int error = thread_->start();
  if (error != 0) tear_down();
  return number(info.Env(), error);
}

Napi::Value IoThreadObject::stop(const Napi::CallbackInfo& info) {
  tear_down();
  return info.Env().Undefined();
}

void IoThreadObject::on_environment_end(void* self) {
  static_cast<IoThreadObject*>(self)->tear_down();
}

void IoThreadObject::tear_down() {
  if (thread_) {
    napi_remove_env_cleanup_hook(env_, &IoThreadObject::on_environment_end, this);
    thread_->stop();
    loop_watch_.close();
    waker_.close();
    thread_.reset();
  }
  pinned_.clear();
  on_wake_.Reset();
}

Napi::Value IoThreadObject::engine_name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), thread_ ? thread_->engine().name() : "");
}

// addCounters(page: BigUint64Array): rows for the next kCounterRowsPerPage slots
Napi::Value IoThreadObject::add_counters(const Napi::CallbackInfo& info) {
  counter_pages_.push_back(reinterpret_cast<uint64_t*>(pin_view(info[0])));
  return info.Env().Undefined();
}

Counters IoThreadObject::counters_of(uint32_t slot) const {
  return Counters(counter_pages_[slot / kCounterRowsPerPage] +
                  size_t{slot % kCounterRowsPerPage} * kCountersPerRow);
}

std::shared_ptr<Endpoint> IoThreadObject::find(const Napi::Value& id) const {
  return thread_ ? thread_->find(u32(id)) : nullptr;
}

// ---- a socket's life

// open(id, family, flags): makes the descriptor. flags: OpenFlags.
Napi::Value IoThreadObject::open(const Napi::CallbackInfo& info) {
  if (!thread_) return number(info.Env(), -EBADF);
  uint32_t flags = u32(info[2]);
  uint8_t family = static_cast<uint8_t>(u32(info[1]));
  Fd fd;
  if (int error = open_udp(family, &fd)) return number(info.Env(), error);

  const struct {
    uint32_t flag;
    SocketOption option;
  } requested[] = {{kOpenReuseAddress, SocketOption::reuse_address},
                   {kOpenReusePort, SocketOption::reuse_port},
                   {kOpenIpv6Only, SocketOption::ipv6_only}};
  for (const auto& request : requested) {
    if (!(flags & request.flag)) continue;
    if (int error = ksocket::set_option(fd.get(), family, request.option, 1))
      return number(info.Env(), error);
  }
  add_endpoint(u32(info[0]), family, flags, std::move(fd));
  return number(info.Env(), 0);
}

// adopt(id, fd, copy: boolean, flags): takes a bound UDP descriptor that somebody else made, or a copy of it.
Napi::Value IoThreadObject::adopt(const Napi::CallbackInfo& info) {
  if (!thread_) return number(info.Env(), -EBADF);
  int given = info[1].As<Napi::Number>().Int32Value();
  int family = fd_family(given);
  if (family == 0) return number(info.Env(), -EINVAL);
  Fd fd(info[2].As<Napi::Boolean>().Value() ? fcntl(given, F_DUPFD_CLOEXEC, 0) : given);
  if (!fd) return number(info.Env(), -errno);
  if (fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK) < 0) return number(info.Env(), -errno);
  add_endpoint(u32(info[0]), static_cast<uint8_t>(family), u32(info[3]), std::move(fd));
  return number(info.Env(), 0);
}

void IoThreadObject::add_endpoint(uint32_t id, uint8_t family, uint32_t flags, Fd fd) {
  bool offloads = thread_->engine().offloads();
  Counters counters = counters_of(id & kSocketSlotMask);
  counters.clear();
  auto endpoint = std::make_shared<Endpoint>(id, family, std::move(fd), counters);
  endpoint->drop_when_full = (flags & kOpenDropWhenFull) != 0;
  endpoint->gro = offloads && (flags & kOpenGro) != 0;
  endpoint->tx.gso.enabled = offloads && (flags & kOpenGso) != 0;
  // Where the kernel lacks it, the hop limit is unknown.
  if (flags & kOpenReceiveTtl) ksocket::set_option(endpoint->fd.get(), family, SocketOption::receive_ttl, 1);
  thread_->add(std::move(endpoint));
}

// fd(id) → the descriptor, or -EBADF
Napi::Value IoThreadObject::fd(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  return number(info.Env(), endpoint ? endpoint->fd.get() : -EBADF);
}

// copyFd(id) → a duplicate for the caller to close, or -errno
Napi::Value IoThreadObject::copy_fd(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  int copy = endpoint ? fcntl(endpoint->fd.get(), F_DUPFD_CLOEXEC, 0) : -1;
  return number(info.Env(), copy >= 0 ? copy : -errno);
}

// bind(id, address, port)
Napi::Value IoThreadObject::bind(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  Address address;
  int error = address_of(endpoint->family, info[1], info[2], &address);
  if (error == 0) error = bind_socket(endpoint->fd.get(), address);
  return number(info.Env(), error);
}

// connect(id, address, port)
Napi::Value IoThreadObject::connect(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  Address address;
  int error = address_of(endpoint->family, info[1], info[2], &address);
  if (error == 0) error = connect_socket(endpoint->fd.get(), address);
  return number(info.Env(), error);
}

Napi::Value IoThreadObject::disconnect(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  return number(info.Env(), endpoint ? disconnect_socket(endpoint->fd.get()) : -EBADF);
}

// respond(id, echo: boolean, reply: Uint8Array, keepBytesMax, targetFamily, targetAddress, targetPort):
// before watch(). A targetFamily of 0 answers each source; else a second socket is made and connected to the
// target.
Napi::Value IoThreadObject::respond(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  FixedResponder::Options options;
  options.kind =
      info[1].As<Napi::Boolean>().Value() ? FixedResponder::Kind::echo : FixedResponder::Kind::fixed;
  Napi::Uint8Array reply = info[2].As<Napi::Uint8Array>();
  options.reply.assign(reply.Data(), reply.Data() + reply.ByteLength());
  uint32_t keep_bytes_max = u32(info[3]);
  options.family = endpoint->family;
  if (uint8_t family = static_cast<uint8_t>(u32(info[4]))) {
    Address target;
    int error = address_of(family, info[5], info[6], &target);
    if (error == 0) error = open_udp(family, &options.target);
    if (error == 0) error = connect_socket(options.target.get(), target);
    if (error != 0) return number(info.Env(), error);
    options.family = family;
  }
  endpoint->responder =
      std::make_unique<FixedResponder>(std::move(options), endpoint->fd.get(), keep_bytes_max,
                                       thread_->engine().offloads(), endpoint->counters);
  return number(info.Env(), 0);
}

// rules(id, bytes, names, forwards): answers by rules; after bind(), and again whenever they change.
Napi::Value IoThreadObject::rules(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  Address local;
  if (!endpoint || socket_name(endpoint->fd.get(), false, &local) != 0) return number(info.Env(), -EBADF);
  Napi::Uint8Array bytes = info[1].As<Napi::Uint8Array>();
  std::optional<rules::RuleSpec> spec = rules::decode_rules({bytes.Data(), bytes.ByteLength()});
  std::vector<std::string> names;
  for (const auto& name : elements(info[2])) names.push_back(name.As<Napi::String>());
  std::vector<Forwarder::Options> forwards;
  for (const auto& forward : elements(info[3])) {
    int error = forward_options(forward.As<Napi::Object>(), &forwards.emplace_back());
    if (error != 0) return number(info.Env(), error);
  }
  if (!spec || names.size() != spec->rules.size() || forwards.size() != spec->forwards) {
    return number(info.Env(), -EINVAL);
  }
  RuleResponder* responder = rule_responder(*endpoint);
  if (responder == nullptr) {
    uint32_t id = endpoint->id;
    Engine& engine = thread_->engine();
    Forwarder::Watch watch{
        [&engine, id](int fd, uint32_t key) { return engine.watch(fd, responder_token(id, key), kReadable); },
        [&engine](int fd) { engine.unwatch(fd); }};
    auto made = std::make_unique<RuleResponder>(endpoint->fd.get(), endpoint->family, local.port,
                                                std::move(watch), engine.offloads(), endpoint->counters);
    responder = made.get();
    endpoint->responder = std::move(made);
  }
  responder->update(std::move(*spec), std::move(names), std::move(forwards));
  return number(info.Env(), 0);
}

// ruleHits(id) → how often each rule has matched
Napi::Value IoThreadObject::rule_hits(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  RuleResponder* responder = endpoint ? rule_responder(*endpoint) : nullptr;
  Napi::Array out = Napi::Array::New(info.Env());
  if (responder == nullptr) return out;
  uint32_t i = 0;
  for (uint64_t hits : responder->hits())
    out.Set(i++, Napi::Number::New(info.Env(), static_cast<double>(hits)));
  return out;
}

// handle(id, path, argument) → "" or what is wrong: a shared object answers; after bind() and before watch().
Napi::Value IoThreadObject::handle(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  std::string error;
  std::unique_ptr<Handler> handler;
  Address local;
  if (!endpoint || socket_name(endpoint->fd.get(), false, &local) != 0) {
    error = "the socket is closed";
  } else {
    handler = Handler::load(info[1].As<Napi::String>(), info[2].As<Napi::String>(), &error);
  }
  if (handler) {
    endpoint->responder =
        std::make_unique<HandlerResponder>(std::move(handler), endpoint->fd.get(), endpoint->family,
                                           local.port, thread_->engine().offloads(), endpoint->counters);
  }
  return Napi::String::New(info.Env(), error);
}

// protect(id, deny, allow | undefined, [rate, burst, sources] | undefined, [rate, burst] | undefined): lists
// as AddressSet::decode takes them; after the answering is set and before watch().
Napi::Value IoThreadObject::protect(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  GuardedResponder::Options options;
  std::optional<AddressSet> deny = address_set(info[1]);
  if (!info[2].IsUndefined()) {
    options.allow = address_set(info[2]);
    if (!options.allow) return number(info.Env(), -EINVAL);
  }
  if (!deny) return number(info.Env(), -EINVAL);
  options.deny = std::move(*deny);
  if (!info[3].IsUndefined()) {
    options.per_source = rate_limit(info[3]);
    options.sources = u32(info[3].As<Napi::Array>().Get(2u));
  }
  if (!info[4].IsUndefined()) options.total = rate_limit(info[4]);
  // An optimisation only: where the kernel does not take the filter, the thread drops the same datagrams.
  const AddressSet* allow = options.allow ? &*options.allow : nullptr;
  attach_filter(endpoint->fd.get(), compile_filter(options.deny, allow, endpoint->family));
  endpoint->responder = std::make_unique<GuardedResponder>(std::move(options), std::move(endpoint->responder),
                                                           endpoint->counters);
  return number(info.Env(), 0);
}

// watch(id, keepBytesMax): starts to receive
Napi::Value IoThreadObject::watch(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  endpoint->keep_bytes_max = u32(info[1]);
  return number(info.Env(), thread_->watch(*endpoint));
}

Napi::Value IoThreadObject::close(const Napi::CallbackInfo& info) {
  if (thread_) thread_->close(u32(info[0]));
  return info.Env().Undefined();
}

// ---- a socket's properties

// name(id, peer: boolean) → [address, port] or -errno
Napi::Value IoThreadObject::name(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  Address address;
  if (int error = socket_name(endpoint->fd.get(), info[1].As<Napi::Boolean>().Value(), &address)) {
    return number(info.Env(), error);
  }
  Napi::Array out = Napi::Array::New(info.Env(), 2);
  out.Set(0u, Napi::String::New(info.Env(), format_address(address)));
  out.Set(1u, Napi::Number::New(info.Env(), address.port));
  return out;
}

// setOption(id, option, value)
Napi::Value IoThreadObject::set_option(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  if (u32(info[1]) == static_cast<uint32_t>(SocketOption::receive_buffer_bytes))
    endpoint->may_grow.store(false);
  return number(info.Env(), ksocket::set_option(endpoint->fd.get(), endpoint->family,
                                                static_cast<SocketOption>(u32(info[1])),
                                                info[2].As<Napi::Number>().Int32Value()));
}

// getOption(id, option) → the value or -errno (no option's value is negative)
Napi::Value IoThreadObject::get_option(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  int value = 0;
  int error = ksocket::get_option(endpoint->fd.get(), endpoint->family,
                                  static_cast<SocketOption>(u32(info[1])), &value);
  return number(info.Env(), error != 0 ? error : value);
}

// membership(id, join: boolean, group, interface, source): empty texts where not given
Napi::Value IoThreadObject::membership(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  return number(info.Env(),
                set_membership(endpoint->fd.get(), info[1].As<Napi::Boolean>().Value(),
                               info[2].As<Napi::String>().Utf8Value(), info[3].As<Napi::String>().Utf8Value(),
                               info[4].As<Napi::String>().Utf8Value()));
}

Napi::Value IoThreadObject::multicast_interface(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  return number(info.Env(),
                set_multicast_interface(endpoint->fd.get(), info[1].As<Napi::String>().Utf8Value()));
}

// deliver(id, wanted: boolean): put this socket's datagrams into the ring at all?
Napi::Value IoThreadObject::deliver(const Napi::CallbackInfo& info) {
  if (auto endpoint = find(info[0])) endpoint->deliver.store(info[1].As<Napi::Boolean>().Value());
  return info.Env().Undefined();
}

// measureLatency(id, cells: BigUint64Array | null): counts into these kLatencyCells from now on, or no more
Napi::Value IoThreadObject::measure_latency(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  bool wanted = !info[1].IsNull();
  std::lock_guard lock(endpoint->rx_mutex);
  int error = ksocket::set_option(endpoint->fd.get(), endpoint->family, SocketOption::receive_times, wanted);
  endpoint->latency = wanted && error == 0 ? LatencyHistogram(reinterpret_cast<uint64_t*>(pin_view(info[1])))
                                           : LatencyHistogram();
  return number(info.Env(), error);
}

// backlog(id) → [datagrams, bytes] that wait for the socket to be writable
Napi::Value IoThreadObject::backlog(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  uint32_t count = 0;
  size_t bytes = 0;
  if (endpoint) {
    std::lock_guard lock(endpoint->tx_mutex);
    count = static_cast<uint32_t>(endpoint->backlog.size());
    bytes = endpoint->backlog_bytes - count * sizeof(Descriptor);
  }
  Napi::Array out = Napi::Array::New(info.Env(), 2);
  out.Set(0u, Napi::Number::New(info.Env(), count));
  out.Set(1u, Napi::Number::New(info.Env(), static_cast<double>(bytes)));
  return out;
}

// ---- the data path

// send(count): the first `count` descriptors of txDescriptors, runs of one socket each. Returns
// how many have to wait.
Napi::Value IoThreadObject::send(const Napi::CallbackInfo& info) {
  if (!thread_) return number(info.Env(), 0);
  uint32_t deferred = 0;
  uint32_t count = std::min(u32(info[0]), tx_slots_);
  for (uint32_t first = 0; first < count;) {
    uint32_t id = tx_descriptors_[first].socket_id;
    uint32_t end = first + 1;
    while (end < count && tx_descriptors_[end].socket_id == id) end++;
    std::span<Descriptor> run(tx_descriptors_ + first, end - first);
    if (auto endpoint = thread_->find(id)) {
      deferred += thread_->send(*endpoint, tx_arena_, run);
    } else {
      for (Descriptor& descriptor : run) descriptor.result = -EBADF;
    }
    first = end;
  }
  return number(info.Env(), static_cast<int>(deferred));
}

// notifyDrained(id) → will there be a `drained` record?
Napi::Value IoThreadObject::notify_drained(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  return Napi::Boolean::New(info.Env(), endpoint && thread_->notify_drained(*endpoint));
}

Napi::Value IoThreadObject::resume(const Napi::CallbackInfo& info) {
  if (thread_) thread_->resume();
  return info.Env().Undefined();
}

Napi::Value IoThreadObject::ref(const Napi::CallbackInfo& info) {
  if (thread_) waker_.ref(env_);
  return info.Env().Undefined();
}

Napi::Value IoThreadObject::unref(const Napi::CallbackInfo& info) {
  if (thread_) waker_.unref(env_);
  return info.Env().Undefined();
}

}  // namespace ksocket
