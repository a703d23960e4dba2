#include "bridge/ring_reader.h"

#include <atomic>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/sharing/limits.h"

namespace ksocket {

namespace {

// A socket that wants batches, or more said of its datagrams, goes on so.
constexpr uint32_t kSameWish = 255;

// The latest call of this thread's environment. All of its readers share a turn of the event loop.
thread_local uint64_t ended_ns = 0;

uint32_t load(uint32_t& word) {
  return std::atomic_ref(word).load(std::memory_order_acquire);
}

}  // namespace

void RingReader::open(napi_env env, const RingMemory& ring, const Callbacks& callbacks) {
  ring_ = ring;
  open_ = std::make_shared<bool>(true);
  napi_create_reference(env, callbacks.on_wake, 1, &on_wake_);
  napi_create_reference(env, callbacks.on_lone, 1, &on_lone_);
  napi_create_reference(env, callbacks.on_lone_batch, 1, &on_lone_batch_);
  napi_value names;  // a reference of its own a string cannot have before Node-API 10
  napi_create_array_with_length(env, 1, &names);
  napi_create_reference(env, names, 1, &names_);
}

void RingReader::close(napi_env env) {
  if (!open_ || !std::exchange(*open_, false)) return;
  napi_delete_reference(env, on_wake_);
  napi_delete_reference(env, on_lone_);
  napi_delete_reference(env, on_lone_batch_);
  napi_delete_reference(env, names_);
  for (auto& [id, context] : std::exchange(contexts_, {})) context->close(env);
}

void RingReader::keep_context(napi_env env, uint32_t id, std::shared_ptr<AsyncContext> context) {
  auto [at, kept] = contexts_.try_emplace(id, context);
  if (!kept) context->close(env);
}

void RingReader::drop_context(napi_env env, uint32_t id) {
  auto at = contexts_.find(id);
  if (at == contexts_.end()) return;
  std::shared_ptr<AsyncContext> context = std::move(at->second);
  contexts_.erase(at);
  context->close(env);
}

napi_status RingReader::read(napi_env env, std::shared_ptr<AsyncContext> context) {
  std::shared_ptr<bool> open = open_;  // hooks and listeners may close us
  bool rested = clock_ns(CLOCK_MONOTONIC) - ended_ns >= kLimits.rest_ns;
  const Descriptor* lone = rested ? lone_datagram() : nullptr;
  std::shared_ptr<AsyncContext> own = lone != nullptr ? context_of(lone->socket_id) : nullptr;
  if (own) context = own;
  napi_status status = napi_ok;
  if (context) {
    context->run(env, [&] { return *open ? hand_over(env, lone, own != nullptr) : napi_ok; });
  } else {
    status = hand_over(env, lone, false);
  }
  ended_ns = clock_ns(CLOCK_MONOTONIC);
  return status;
}

void RingReader::read_in(napi_env env, std::shared_ptr<AsyncContext> context) {
  napi_handle_scope handles;
  napi_open_handle_scope(env, &handles);
  read(env, std::move(context));
  napi_close_handle_scope(env, handles);
}

std::shared_ptr<AsyncContext> RingReader::context_of(uint32_t id) {
  auto at = contexts_.find(id);
  return at == contexts_.end() ? nullptr : at->second;
}

napi_status RingReader::hand_over(napi_env env, const Descriptor* lone, bool entered) {
  std::shared_ptr<bool> open = open_;
  napi_value result;
  napi_status status = napi_generic_failure;
  bool read = false;
  if (lone != nullptr) {
    uint32_t id = lone->socket_id;
    Wish wish = wish_of(id);
    status = tell(env, *lone, wish, entered, &read);
    if (!read && *open)
      wishes_[id % kWishes] = {id, wish == Wish::message ? Wish::batch : Wish::neither, kSameWish};
  }
  if (!read && *open) status = call(env, on_wake_, 0, nullptr, &result);
  return status;
}

// Who has not said otherwise lately wants messages.
RingReader::Wish RingReader::wish_of(uint32_t id) {
  Said& said = wishes_[id % kWishes];
  if (said.id != id || said.left == 0) return Wish::message;
  said.left--;
  return said.wish;
}

napi_status RingReader::tell(napi_env env, const Descriptor& lone, Wish wish, bool entered, bool* read) {
  napi_value arguments[kArguments], result;
  napi_status status = napi_generic_failure;
  if (wish == Wish::batch) {
    napi_create_uint32(env, lone.socket_id, &arguments[0]);
    napi_get_boolean(env, entered, &arguments[1]);
    status = call(env, on_lone_batch_, 2, arguments, &result);
  } else {
    if (!arguments_of(env, lone, entered, arguments)) return status;
    status = call(env, on_lone_, kArguments, arguments, &result);
  }
  // Where a listener has thrown, it has had it.
  if (status != napi_ok || napi_get_value_bool(env, result, read) != napi_ok) *read = true;
  return status;
}

napi_status RingReader::call(napi_env env, napi_ref function, size_t count, napi_value* arguments,
                             napi_value* result) {
  napi_value callee, receiver;
  napi_get_reference_value(env, function, &callee);
  napi_get_global(env, &receiver);
  return napi_call_function(env, receiver, callee, count, arguments, result);
}

// This thread is the consumer: what is published stays where it is until JavaScript has read it.
const Descriptor* RingReader::lone_datagram() {
  uint32_t tail = load(ring_.control->tail);
  if (load(ring_.control->head) - tail != 1) return nullptr;
  const Descriptor& record = ring_.descriptors[(tail - load(ring_.control->base)) & (ring_.slots - 1)];
  if (record.kind != DescriptorKind::datagram || record.segment_size != 0 || record.flags != 0)
    return nullptr;
  bool inside =
      uint64_t{record.offset} + record.length <= ring_.arena_bytes;  // JavaScript could write there, too
  if (!inside) return nullptr;
  const Said& said = wishes_[record.socket_id % kWishes];
  bool untold = said.wish == Wish::neither && said.left > 0 && said.id == record.socket_id;
  return untold ? (wish_of(said.id), nullptr) : &record;
}

bool RingReader::arguments_of(napi_env env, const Descriptor& record, bool entered, napi_value* arguments) {
  const uint8_t* payload = ring_.arena + record.offset;
  if (napi_create_buffer_copy(env, record.length, payload, nullptr, &arguments[0]) != napi_ok) return false;
  napi_create_uint32(env, record.socket_id, &arguments[1]);
  arguments[2] = name_of(env, read_address(record));
  napi_create_uint32(env, record.family, &arguments[3]);
  napi_create_uint32(env, record.port, &arguments[4]);
  napi_get_boolean(env, entered, &arguments[5]);
  return true;
}

napi_value RingReader::name_of(napi_env env, Address address) {
  address.port = 0;
  napi_value names = nullptr, name = nullptr;
  napi_get_reference_value(env, names_, &names);
  if (address == named_) {
    napi_get_element(env, names, 0, &name);
    return name;
  }
  std::string text = format_address(address);
  if (address.family == kLocal) {
    napi_create_string_utf8(env, text.data(), text.size(), &name);
  } else {
    napi_create_string_latin1(env, text.data(), text.size(), &name);
  }
  napi_set_element(env, names, 0, name);
  named_ = address;
  return name;
}

}  // namespace ksocket
