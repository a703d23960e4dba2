#include "bridge/io_thread_object.h"

#include <algorithm>
#include <cstring>

#include "engine/choose.h"

namespace ksocket {

Napi::Function IoThreadObject::define(Napi::Env env) {
  using Self = IoThreadObject;
  std::vector<PropertyDescriptor> methods = {
      InstanceMethod<&Self::start>("start"),
      InstanceMethod<&Self::set_cpus>("setCpus"),
      InstanceMethod<&Self::set_priority>("setPriority"),
      InstanceMethod<&Self::stop>("stop"),
      InstanceMethod<&Self::get_engine_name>("getEngineName"),
      InstanceMethod<&Self::add_counters>("addCounters"),
      InstanceMethod<&Self::open>("open"),
      InstanceMethod<&Self::open_at>("openAt"),
      InstanceMethod<&Self::adopt>("adopt"),
      InstanceMethod<&Self::get_fd>("getFd"),
      InstanceMethod<&Self::copy_fd>("copyFd"),
      InstanceMethod<&Self::bind>("bind"),
      InstanceMethod<&Self::bind_path>("bindPath"),
      InstanceMethod<&Self::take_rights>("takeRights"),
      InstanceMethod<&Self::waits_for>("waitsFor"),
      InstanceMethod<&Self::connect>("connect"),
      InstanceMethod<&Self::disconnect>("disconnect"),
      InstanceMethod<&Self::watch>("watch"),
      InstanceMethod<&Self::unwatch>("unwatch"),
      InstanceMethod<&Self::keep_context>("keepContext"),
      InstanceMethod<&Self::close>("close"),
      InstanceMethod<&Self::lend_packet_infos>("lendPacketInfos"),
      InstanceMethod<&Self::receive_local>("receiveLocal"),
      InstanceMethod<&Self::get_name>("getName"),
      InstanceMethod<&Self::set_option>("setOption"),
      InstanceMethod<&Self::get_option>("getOption"),
      InstanceMethod<&Self::get_path_mtu>("getPathMtu"),
      InstanceMethod<&Self::set_raw_option>("setRawOption"),
      InstanceMethod<&Self::get_raw_option>("getRawOption"),
      InstanceMethod<&Self::set_filter>("setFilter"),
      InstanceMethod<&Self::steer>("steer"),
      InstanceMethod<&Self::change_membership>("changeMembership"),
      InstanceMethod<&Self::set_multicast_interface>("setMulticastInterface"),
      InstanceMethod<&Self::send>("send"),
      InstanceMethod<&Self::send_from>("sendFrom"),
      InstanceMethod<&Self::send_now>("sendNow"),
      InstanceMethod<&Self::get_backlog>("getBacklog"),
      InstanceMethod<&Self::count_kernel_drops>("countKernelDrops"),
      InstanceMethod<&Self::notify_drained>("notifyDrained"),
      InstanceMethod<&Self::notify_writable>("notifyWritable"),
      InstanceMethod<&Self::give_chunk>("giveChunk"),
      InstanceMethod<&Self::resume>("resume"),
      InstanceMethod<&Self::ref>("ref"),
      InstanceMethod<&Self::unref>("unref"),
  };
  for (const auto& more : {server_methods(), hand_over_methods(), tunnel_methods()})
    methods.insert(methods.end(), more.begin(), more.end());
  return DefineClass(env, "IoThread", methods);
}

// new IoThread({ control, descriptors, arena, txDescriptors, txSources, txArena, engine, busyPoll, rxUsecs,
// rxFrames, adaptiveRx, libuv, shareLoop })
IoThreadObject::IoThreadObject(const Napi::CallbackInfo& info) : ObjectWrap(info), env_(info.Env()) {
  Reader reader(env_);
  auto get = [&](const char* name) { return reader.get(info[0], name); };
  size_t elements = 0;
  ring_.control = reinterpret_cast<RingControl*>(pin(get("control"), &elements));
  ring_.descriptors = reinterpret_cast<Descriptor*>(pin(get("descriptors"), &elements));  // a byte each
  ring_.slots = static_cast<uint32_t>(elements / sizeof(Descriptor));
  ring_.arena = pin(get("arena"), &elements);
  ring_.arena_bytes = static_cast<uint32_t>(elements);
  tx_descriptors_ = reinterpret_cast<Descriptor*>(pin(get("txDescriptors"), &elements));
  tx_slots_ = static_cast<uint32_t>(elements / sizeof(Descriptor));
  tx_sources_ = reinterpret_cast<Source*>(pin(get("txSources"), &elements));
  tx_slots_ = std::min(tx_slots_, static_cast<uint32_t>(elements / sizeof(Source)));
  tx_arena_ = pin(get("txArena"), &tx_arena_bytes_);
  engine_wanted_ = text(get("engine"));
  options_.busy_poll_us = u32(get("busyPoll"));
  options_.moderation = {u32(get("rxUsecs")), u32(get("rxFrames")), boolean(get("adaptiveRx"))};
  libuv_ = boolean(get("libuv"));
  share_loop_ = boolean(get("shareLoop"));
  complete_ = reader.error() == 0;
}

IoThreadObject::~IoThreadObject() {
  tear_down();
}

uint8_t* IoThreadObject::pin(const Napi::Value& typed_array, size_t* length) {
  void* data = nullptr;
  if (napi_get_typedarray_info(env_, typed_array, nullptr, length, &data, nullptr, nullptr) == napi_ok) {
    pinned_.push_back(Napi::Persistent(typed_array.As<Napi::Object>()));
  }
  return static_cast<uint8_t*>(data);
}

// ---- life

// start(onWake, onLone, onLoneBatch, resource): as RingReader::open
Napi::Value IoThreadObject::start(const Napi::CallbackInfo& info) {
  if (thread_) return number(info.Env(), -EALREADY);
  if (!complete_ || counter_pages_.empty()) return number(info.Env(), -ECANCELED);
  ChosenEngine chosen = choose_engine(engine_wanted_);
  if (!chosen.engine) return number(info.Env(), chosen.error);
  reader_.open(env_, ring_, {info[0], info[1], info[2]});
  if (libuv_) {
    context_ = std::make_shared<AsyncContext>();
    context_->open(env_, info[3], "ksocket");
  }
  if (waker_.open(env_, reader_, info[3], context_) != napi_ok) return number(info.Env(), -ENOMEM);
  // A thread-safe function adds its own cleanup hook when it is made, and hooks run in reverse: ours, added
  // after it, joins the thread while the function can still be called.
  napi_add_env_cleanup_hook(env_, &IoThreadObject::on_environment_end, this);
  thread_ = std::make_unique<IoThread>(std::move(chosen.engine), ring_, counters_of(0), options_,
                                       [this] { waker_.wake(); });
  if (share_loop_ && thread_->engine().traits().exclusive &&
      loop_watch_.open(env_, reader_, context_, options_.busy_poll_us,
                       {[this](uint32_t place) { return thread_->receive_on_loop(place); },
                        [this] { return thread_->look_again(); }, [this] { return thread_->look_now(); },
                        [this] { thread_->before_poll(); },
                        [this](uint32_t id) {
                          auto endpoint = thread_->find(id);
                          return endpoint && thread_->tell_drained(*endpoint);
                        }})) {
    thread_->share({loop_watch_.epoll_fd(), [this] { return loop_watch_.add_place(); },
                    [this] { loop_watch_.ask_before_poll(); }});
  }
  int error = thread_->start();
  if (error != 0) tear_down();
  return number(info.Env(), error);
}

// setCpus(cpus: number[])
Napi::Value IoThreadObject::set_cpus(const Napi::CallbackInfo& info) {
  Reader reader(env_);
  std::vector<uint32_t> cpus;
  for (const Napi::Value& cpu : reader.elements(info[0])) cpus.push_back(u32(cpu));
  if (reader.error() != 0) return number(info.Env(), reader.error());
  return number(info.Env(), thread_ ? thread_->set_cpus(cpus) : -EBADF);
}

// setPriority(priority)
Napi::Value IoThreadObject::set_priority(const Napi::CallbackInfo& info) {
  return number(info.Env(), thread_ ? thread_->set_priority(i32(info[0])) : -EBADF);
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
    send_staged();
    napi_remove_env_cleanup_hook(env_, &IoThreadObject::on_environment_end, this);
    everywhere_.stop();
    thread_->stop();
    loop_watch_.close();
    waker_.close();
    thread_.reset();
  }
  pinned_.clear();
  chunks_.Reset();
  reader_.close(env_);
  if (context_) context_->close(env_);
}

// getEngineName() → the one that start() has made, else ""
Napi::Value IoThreadObject::get_engine_name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), thread_ ? thread_->engine().name() : "");
}

// addCounters(page: BigUint64Array): rows for the next kCounterRowsPerPage slots
Napi::Value IoThreadObject::add_counters(const Napi::CallbackInfo& info) {
  counter_pages_.push_back(reinterpret_cast<uint64_t*>(pin(info[0])));
  return info.Env().Undefined();
}

Counters IoThreadObject::counters_of(uint32_t slot) const {
  return Counters(counter_pages_[slot / kCounterRowsPerPage] +
                  size_t{slot % kCounterRowsPerPage} * kCountersPerRow);
}

std::shared_ptr<Endpoint> IoThreadObject::find(const Napi::Value& id) const {
  return thread_ ? thread_->find(u32(id)) : nullptr;
}

// ---- the data path

// send(count): the first `count` descriptors of txDescriptors, runs of one socket each. Returns
// how many have to wait.
Napi::Value IoThreadObject::send(const Napi::CallbackInfo& info) {
  uint32_t deferred = send_records(u32(info[0]), {tx_arena_, tx_arena_bytes_});
  return number(info.Env(), static_cast<int>(deferred));
}

// sendFrom(bytes: Uint8Array, count): as send(), of payloads that lie in `bytes`
Napi::Value IoThreadObject::send_from(const Napi::CallbackInfo& info) {
  return number(info.Env(), static_cast<int>(send_records(u32(info[1]), bytes(info[0]))));
}

// sendNow(id, bytes: Uint8Array, to: a local address as parseAddress() writes it, or null) → bytes or -errno;
// -EAGAIN and -ENOBUFS, too: nothing is kept
Napi::Value IoThreadObject::send_now(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    std::span<const uint8_t> payload = bytes(info[1]);
    if (payload.size() > INT32_MAX) return -EMSGSIZE;
    if (info[2].IsNull()) return thread_->send_now(endpoint, payload, nullptr);
    Address to;
    to.family = endpoint.family;
    std::memcpy(to.bytes, bytes(info[2]).data(), sizeof to.bytes);
    return thread_->send_now(endpoint, payload, &to);
  });
}

uint32_t IoThreadObject::send_records(uint32_t count, std::span<const uint8_t> payloads) {
  if (!thread_) return 0;
  // Is the payload where it may be?
  auto is_inside = [&](const Descriptor& descriptor) {
    return uint64_t{descriptor.offset} + descriptor.length <= payloads.size();
  };
  ring_.control->staged = 0;  // before: whoever ends the program meanwhile does not send them again
  uint32_t deferred = 0;
  count = std::min(count, tx_slots_);
  for (uint32_t first = 0; first < count;) {
    if (!is_inside(tx_descriptors_[first])) {
      tx_descriptors_[first++].result = -EINVAL;
      continue;
    }
    uint32_t id = tx_descriptors_[first].socket_id;
    uint32_t end = first + 1;
    while (end < count && tx_descriptors_[end].socket_id == id && is_inside(tx_descriptors_[end])) end++;
    std::span<Descriptor> run(tx_descriptors_ + first, end - first);
    if (auto endpoint = thread_->find(id)) {
      deferred += thread_->send(*endpoint, payloads.data(), run, {tx_sources_, tx_slots_});
    } else {
      for (Descriptor& descriptor : run) descriptor.result = -EBADF;
    }
    first = end;
  }
  return deferred;
}

// What the last tick left, when JavaScript does not get to it any more.
void IoThreadObject::send_staged() {
  if (thread_) send_records(ring_.control->staged, {tx_arena_, tx_arena_bytes_});
}

// giveChunk(chunks: ArrayBuffer[], place, id): the one at `place`, which `chunks` keeps alive until this is
// called again for that place, as Chunks::give(). It is the same array each time. Behind the last place: only
// that this socket takes what comes.
Napi::Value IoThreadObject::give_chunk(const Napi::CallbackInfo& info) {
  uint32_t place = u32(info[1]);
  napi_value chunk = nullptr;
  void* memory = nullptr;
  size_t size = 0;
  if (!thread_) return number(info.Env(), -EBADF);
  if (place >= kChunks) return thread_->give_chunks_to(u32(info[2])), number(info.Env(), 0);
  if (napi_get_element(env_, info[0], place, &chunk) != napi_ok ||
      napi_get_arraybuffer_info(env_, chunk, &memory, &size) != napi_ok || size < kChunkBytes)
    return number(info.Env(), -EINVAL);
  if (chunks_.IsEmpty()) chunks_ = Napi::Persistent(info[0].As<Napi::Object>());
  thread_->give_chunk(place, static_cast<uint8_t*>(memory), u32(info[2]));
  return number(info.Env(), 0);
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
