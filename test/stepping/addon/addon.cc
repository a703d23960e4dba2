// The product's addon on a kernel in memory, and `stepping`, by which a test lets the I/O thread take its
// steps.
#include <napi.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bridge/arguments.h"
#include "bridge/io_thread_object.h"
#include "bridge/module_functions.h"
#include "engine.h"
#include "event_loop.h"
#include "fiber.h"
#include "system.h"

namespace ksocket::stepping {

namespace {

// step(count) → how many steps it took: fewer when it waits for something, or has ended
Napi::Value step(const Napi::CallbackInfo& info) {
  uint32_t wanted = u32(info[0]), taken = 0;
  while (taken < wanted && resume_fiber() == Stop::point) taken++;
  return number(info.Env(), static_cast<int>(taken));
}

// wakesAt() → when the thread, which waits, goes on by itself, in ns; Infinity: never
Napi::Value wakes_at(const Napi::CallbackInfo& info) {
  uint64_t ns = wakes_at_ns();
  double value = ns == UINT64_MAX ? std::numeric_limits<double>::infinity() : static_cast<double>(ns);
  return Napi::Number::New(info.Env(), value);
}

// setClock(ns)
Napi::Value set_clock(const Napi::CallbackInfo& info) {
  set_now_ns(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
  return info.Env().Undefined();
}

// takeWake() → is a wake-up of JavaScript under way? It is delivered now
Napi::Value take_wake_up(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), take_wake());
}

// pendingWakes() → how many are under way
Napi::Value pending(const Napi::CallbackInfo& info) {
  return number(info.Env(), pending_wakes());
}

// read(): JavaScript is called to read the ring; what a listener threw passes
Napi::Value read(const Napi::CallbackInfo& info) {
  if (reader() != nullptr) reader()->read(info.Env(), nullptr);
  return info.Env().Undefined();
}

// arrive(fd, port, size, segmentSize, key): a datagram, or a super-datagram, from that port
Napi::Value arrive(const Napi::CallbackInfo& info) {
  uint32_t size = u32(info[2]), key = u32(info[4]);
  test::Arrival arrival;
  arrival.data.resize(size);
  for (uint32_t i = 0; i < size; i++) arrival.data[i] = static_cast<char>(content(key, i));
  static const Address peer = test::address_of("127.0.0.1", 0);
  arrival.from = peer;
  arrival.from.port = static_cast<uint16_t>(u32(info[1]));
  arrival.from.bytes[3] = static_cast<uint8_t>(1 + arrival.from.port % 40);
  arrival.segment_size = static_cast<uint16_t>(u32(info[3]));
  engine()->arrive(i32(info[0]), std::move(arrival));
  return info.Env().Undefined();
}

// fail(fd, errno): receiving fails, once
Napi::Value fail(const Napi::CallbackInfo& info) {
  test::Arrival arrival;
  arrival.error = i32(info[1]);
  engine()->arrive(i32(info[0]), std::move(arrival));
  return info.Env().Undefined();
}

// share(yes): may the event loop receive from sockets of the next I/O thread?
Napi::Value share(const Napi::CallbackInfo& info) {
  set_exclusive(boolean(info[0]));
  return info.Env().Undefined();
}

// places() → how many sockets it can share by now
Napi::Value places(const Napi::CallbackInfo& info) {
  return number(info.Env(), uint64_t{event_loop.places});
}

// receiveOnLoop(place): the event loop is told of the socket that has this place → it has to read the ring
// now
Napi::Value receive_on_loop(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), event_loop.calls.receive(u32(info[0])));
}

// lookNow(): as that, of the sockets that it was told of lately, without being told
Napi::Value look_now(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(),
                            event_loop.calls.look_now && event_loop.calls.look_now() == Look::found);
}

// beforePoll(): the event loop is about to wait
Napi::Value before_poll(const Napi::CallbackInfo& info) {
  if (std::exchange(event_loop.asked, false)) event_loop.calls.before_poll();
  return info.Env().Undefined();
}

// waiting(fd) → arrivals that were not received yet
Napi::Value waiting(const Napi::CallbackInfo& info) {
  return number(info.Env(), static_cast<int>(engine()->waiting(i32(info[0]))));
}

// setFull(fd, full): its send buffer
Napi::Value set_full(const Napi::CallbackInfo& info) {
  engine()->set_full(i32(info[0]), boolean(info[1]));
  return info.Env().Undefined();
}

// refuse(fd, passes, errno): so many messages pass, and the next is refused
Napi::Value refuse(const Napi::CallbackInfo& info) {
  engine()->refuse(i32(info[0]), i32(info[1]), i32(info[2]));
  return info.Env().Undefined();
}

// forget(fd): it is closed
Napi::Value forget(const Napi::CallbackInfo& info) {
  engine()->forget(i32(info[0]));
  return info.Env().Undefined();
}

uint32_t hash_of(const char* data, size_t length) {  // FNV-1a
  uint32_t hash = 0x811c9dc5;
  for (size_t i = 0; i < length; i++) hash = (hash ^ static_cast<uint8_t>(data[i])) * 0x01000193;
  return hash;
}

// takeSent() → [fd, port, size, hash, …] of the datagrams that have left since the last call
Napi::Value take_sent(const Napi::CallbackInfo& info) {
  Napi::Array out = Napi::Array::New(info.Env());
  uint32_t n = 0;
  for (const test::Outgoing& message : engine()->take_sent()) {
    size_t length = message.data.size(), each = message.segment_size != 0 ? message.segment_size : length;
    size_t at = 0;
    do {
      size_t size = std::min(each, length - at);
      out.Set(n++, number(info.Env(), message.fd));
      out.Set(n++, number(info.Env(), int{message.to.port}));
      out.Set(n++, number(info.Env(), uint64_t{size}));
      out.Set(n++, number(info.Env(), uint64_t{hash_of(message.data.data() + at, size)}));
      at += size;
    } while (at < length);
  }
  return out;
}

// detach(buffer): as ArrayBuffer.prototype.transfer, which Node 20 has not
Napi::Value detach(const Napi::CallbackInfo& info) {
  info[0].As<Napi::ArrayBuffer>().Detach();
  return info.Env().Undefined();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("IoThread", IoThreadObject::define(env));
  define_module_functions(env, exports);
  Napi::Object stepping = Napi::Object::New(env);
  const struct {
    const char* name;
    Napi::Value (*call)(const Napi::CallbackInfo&);
  } calls[] = {{"step", step},
               {"wakesAt", wakes_at},
               {"setClock", set_clock},
               {"takeWake", take_wake_up},
               {"pendingWakes", pending},
               {"read", read},
               {"arrive", arrive},
               {"fail", fail},
               {"waiting", waiting},
               {"setFull", set_full},
               {"refuse", refuse},
               {"forget", forget},
               {"takeSent", take_sent},
               {"detach", detach},
               {"share", share},
               {"places", places},
               {"receiveOnLoop", receive_on_loop},
               {"lookNow", look_now},
               {"beforePoll", before_poll}};
  for (const auto& [name, call] : calls) stepping.Set(name, Napi::Function::New(env, call, name));
  exports.Set("stepping", stepping);
  return exports;
}

}  // namespace

}  // namespace ksocket::stepping

static Napi::Object init_stepping(Napi::Env env, Napi::Object exports) {
  return ksocket::stepping::init(env, exports);
}

NODE_API_MODULE(stepping, init_stepping)
