// The JavaScript object around an IoThread: checks nothing (lib/ has), decides nothing, returns -errno.
//
// It pins the shared memory and owns the waker. Teardown, whoever starts it (stop(), the environment's end,
// the garbage collector): send what is staged, join the thread and close its sockets, then close the waker,
// then let go of the memory.
//
// Its methods' names are verbs. Arguments are positional where a call is made for each socket, an object
// where it is made once for a server or rarely: reading a property costs as much as a call.
#pragma once

#include <napi.h>

#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "bridge/arguments.h"
#include "bridge/loop_watch.h"
#include "bridge/process_exit.h"
#include "bridge/ring_reader.h"
#include "bridge/waker.h"
#include "core/socket/everywhere.h"
#include "core/thread/io_thread.h"

namespace ksocket {

class IoThreadObject : public Napi::ObjectWrap<IoThreadObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit IoThreadObject(const Napi::CallbackInfo& info);
  ~IoThreadObject() override;

 private:
  // io_thread_object.cc: the thread's life, and the data path.
  Napi::Value start(const Napi::CallbackInfo& info);
  Napi::Value set_cpus(const Napi::CallbackInfo& info);
  Napi::Value set_priority(const Napi::CallbackInfo& info);
  Napi::Value stop(const Napi::CallbackInfo& info);
  Napi::Value get_engine_name(const Napi::CallbackInfo& info);
  Napi::Value add_counters(const Napi::CallbackInfo& info);
  Napi::Value send(const Napi::CallbackInfo& info);
  Napi::Value send_from(const Napi::CallbackInfo& info);
  Napi::Value send_now(const Napi::CallbackInfo& info);
  Napi::Value give_chunk(const Napi::CallbackInfo& info);
  Napi::Value resume(const Napi::CallbackInfo& info);
  Napi::Value ref(const Napi::CallbackInfo& info);
  Napi::Value unref(const Napi::CallbackInfo& info);

  // open_calls.cc: how a socket gets its descriptor; socket_calls.cc: its life and properties;
  // filter_calls.cc: programs that the kernel runs for it.
  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value open_at(const Napi::CallbackInfo& info);
  Napi::Value adopt(const Napi::CallbackInfo& info);
  Napi::Value get_fd(const Napi::CallbackInfo& info);
  Napi::Value copy_fd(const Napi::CallbackInfo& info);
  Napi::Value bind(const Napi::CallbackInfo& info);
  Napi::Value take_rights(const Napi::CallbackInfo& info);
  Napi::Value waits_for(const Napi::CallbackInfo& info);
  Napi::Value bind_path(const Napi::CallbackInfo& info);
  Napi::Value connect(const Napi::CallbackInfo& info);
  Napi::Value disconnect(const Napi::CallbackInfo& info);
  Napi::Value watch(const Napi::CallbackInfo& info);
  Napi::Value unwatch(const Napi::CallbackInfo& info);
  Napi::Value keep_context(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  Napi::Value lend_packet_infos(const Napi::CallbackInfo& info);
  Napi::Value receive_local(const Napi::CallbackInfo& info);
  Napi::Value get_name(const Napi::CallbackInfo& info);
  Napi::Value set_option(const Napi::CallbackInfo& info);
  Napi::Value get_option(const Napi::CallbackInfo& info);
  Napi::Value get_path_mtu(const Napi::CallbackInfo& info);
  Napi::Value set_raw_option(const Napi::CallbackInfo& info);
  Napi::Value grow_receive_buffer(const Napi::CallbackInfo& info);
  Napi::Value get_raw_option(const Napi::CallbackInfo& info);
  Napi::Value set_filter(const Napi::CallbackInfo& info);
  Napi::Value steer(const Napi::CallbackInfo& info);
  Napi::Value change_membership(const Napi::CallbackInfo& info);
  Napi::Value set_multicast_interface(const Napi::CallbackInfo& info);
  Napi::Value get_backlog(const Napi::CallbackInfo& info);
  Napi::Value count_kernel_drops(const Napi::CallbackInfo& info);
  Napi::Value notify_drained(const Napi::CallbackInfo& info);
  Napi::Value notify_writable(const Napi::CallbackInfo& info);

  // server_calls.cc: who answers on the thread, and what JavaScript is told of it.
  static std::vector<PropertyDescriptor> server_methods();
  Napi::Value guard_loops(const Napi::CallbackInfo& info);
  Napi::Value find_own(const Napi::CallbackInfo& info);
  Napi::Value respond(const Napi::CallbackInfo& info);
  Napi::Value set_rules(const Napi::CallbackInfo& info);
  Napi::Value get_rule_hits(const Napi::CallbackInfo& info);
  Napi::Value load_handler(const Napi::CallbackInfo& info);
  Napi::Value protect(const Napi::CallbackInfo& info);
  Napi::Value deliver(const Napi::CallbackInfo& info);
  Napi::Value measure_latency(const Napi::CallbackInfo& info);

  // hand_over_calls.cc: what goes to another process.
  static std::vector<PropertyDescriptor> hand_over_methods();
  Napi::Value watch_again(const Napi::CallbackInfo& info);
  Napi::Value get_file(const Napi::CallbackInfo& info);
  Napi::Value keep_file(const Napi::CallbackInfo& info);
  Napi::Value take_file(const Napi::CallbackInfo& info);
  Napi::Value get_flows(const Napi::CallbackInfo& info);
  Napi::Value take_flows(const Napi::CallbackInfo& info);
  Napi::Value begin_flows(const Napi::CallbackInfo& info);
  Napi::Value get_tallies(const Napi::CallbackInfo& info);
  Napi::Value set_tallies(const Napi::CallbackInfo& info);
  Napi::Value stop_drops(const Napi::CallbackInfo& info);
  Napi::Value tell_drops(const Napi::CallbackInfo& info);

  // tunnel_calls.cc: a network behind a socket.
  static std::vector<PropertyDescriptor> tunnel_methods();
  Napi::Value open_tunnel(const Napi::CallbackInfo& info);
  Napi::Value get_tunnel_device(const Napi::CallbackInfo& info);

  static void on_environment_end(void* self);
  void tear_down();
  uint32_t send_records(uint32_t count, std::span<const uint8_t> payloads);
  void send_staged();
  // A typed array's memory; `length` is in its elements. (Node-API has no functions for a SharedArrayBuffer
  // but those of its views.)
  uint8_t* pin(const Napi::Value& typed_array, size_t* length = nullptr);
  Counters counters_of(uint32_t slot) const;
  std::shared_ptr<Endpoint> find(const Napi::Value& id) const;
  // What `call(endpoint)` returns, an int or a value, for the socket whose id is the first argument; -EBADF
  // when there is none.
  template <typename Call>
  Napi::Value endpoint_or_ebadf(const Napi::CallbackInfo& info, Call&& call) const;

  int open_endpoint(uint32_t id, uint8_t family, uint32_t flags);
  Endpoint& add_endpoint(uint32_t id, uint8_t family, uint32_t flags, Fd fd);
  RuleResponder& answer_by_rules(Endpoint& endpoint, const Address& own);
  // Of the engine: may its sockets use GRO and GSO?
  bool offloads() const { return thread_->engine().traits().offloads; }

  napi_env env_;
  std::vector<Napi::ObjectReference> pinned_;
  Napi::ObjectReference chunks_;  // what was given, an array
  RingMemory ring_;
  PacketInfo* packet_infos_ = nullptr;  // of its slots, once a socket needs them
  Descriptor* tx_descriptors_;
  Source* tx_sources_;
  uint32_t tx_slots_;
  uint8_t* tx_arena_;
  size_t tx_arena_bytes_ = 0;
  bool complete_ = false;  // all of these could be read
  std::vector<uint64_t*> counter_pages_;
  uint32_t counter_rows_used_ = 0;  // slots are given out in order, unless one is free again
  std::string engine_wanted_;
  IoThread::Options options_;
  RingReader reader_;
  Everywhere everywhere_;  // its sockets are the thread's
  bool libuv_;             // other runtimes have functions of its names that end the process
  bool share_loop_;
  std::shared_ptr<AsyncContext> context_;  // of what libuv's loop does for it
  Waker waker_;
  LoopWatch loop_watch_;
  std::unique_ptr<IoThread> thread_;  // gone before the memory it works on
  OnProcessExit on_process_exit_{[this] { send_staged(); }};
};

template <typename Call>
Napi::Value IoThreadObject::endpoint_or_ebadf(const Napi::CallbackInfo& info, Call&& call) const {
  auto endpoint = find(info[0]);
  if (!endpoint) return number(info.Env(), -EBADF);
  if constexpr (std::is_same_v<decltype(call(*endpoint)), int>) {
    return number(info.Env(), call(*endpoint));
  } else {
    return call(*endpoint);
  }
}

}  // namespace ksocket
