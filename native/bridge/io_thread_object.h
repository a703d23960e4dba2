// The JavaScript object around an IoThread: checks nothing (lib/ has), decides nothing, returns -errno.
//
// It pins the shared memory and owns the waker. Teardown, whoever starts it (stop(), the environment's end,
// the garbage collector): join the thread and close its sockets, then close the waker, then let go of the
// memory.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "bridge/loop_watch.h"
#include "bridge/waker.h"
#include "core/thread/io_thread.h"

namespace ksocket {

class IoThreadObject : public Napi::ObjectWrap<IoThreadObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit IoThreadObject(const Napi::CallbackInfo& info);
  ~IoThreadObject() override;

 private:
  Napi::Value start(const Napi::CallbackInfo& info);
  Napi::Value stop(const Napi::CallbackInfo& info);
  Napi::Value engine_name(const Napi::CallbackInfo& info);
  Napi::Value add_counters(const Napi::CallbackInfo& info);

  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value adopt(const Napi::CallbackInfo& info);
  Napi::Value fd(const Napi::CallbackInfo& info);
  Napi::Value copy_fd(const Napi::CallbackInfo& info);
  Napi::Value bind(const Napi::CallbackInfo& info);
  Napi::Value connect(const Napi::CallbackInfo& info);
  Napi::Value disconnect(const Napi::CallbackInfo& info);
  Napi::Value respond(const Napi::CallbackInfo& info);
  Napi::Value rules(const Napi::CallbackInfo& info);
  Napi::Value rule_hits(const Napi::CallbackInfo& info);
  Napi::Value handle(const Napi::CallbackInfo& info);
  Napi::Value protect(const Napi::CallbackInfo& info);
  Napi::Value watch(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  Napi::Value name(const Napi::CallbackInfo& info);
  Napi::Value set_option(const Napi::CallbackInfo& info);
  Napi::Value get_option(const Napi::CallbackInfo& info);
  Napi::Value membership(const Napi::CallbackInfo& info);
  Napi::Value multicast_interface(const Napi::CallbackInfo& info);
  Napi::Value deliver(const Napi::CallbackInfo& info);
  Napi::Value measure_latency(const Napi::CallbackInfo& info);
  Napi::Value backlog(const Napi::CallbackInfo& info);

  Napi::Value send(const Napi::CallbackInfo& info);
  Napi::Value notify_drained(const Napi::CallbackInfo& info);
  Napi::Value resume(const Napi::CallbackInfo& info);
  Napi::Value ref(const Napi::CallbackInfo& info);
  Napi::Value unref(const Napi::CallbackInfo& info);

  static void on_environment_end(void* self);
  void tear_down();
  uint8_t* pin(const Napi::Value& array_buffer, size_t* bytes = nullptr);
  // Of a SharedArrayBuffer, for which Node-API has no functions but those of its views.
  uint8_t* pin_view(const Napi::Value& typed_array);
  void add_endpoint(uint32_t id, uint8_t family, uint32_t flags, Fd fd);
  Counters counters_of(uint32_t slot) const;
  std::shared_ptr<Endpoint> find(const Napi::Value& id) const;

  napi_env env_;
  std::vector<Napi::ObjectReference> pinned_;
  RingMemory ring_;
  Descriptor* tx_descriptors_;
  uint32_t tx_slots_;
  uint8_t* tx_arena_;
  std::vector<uint64_t*> counter_pages_;
  std::string engine_wanted_;
  IoThread::Options options_;
  Napi::FunctionReference on_wake_;
  bool share_loop_;
  Waker waker_;
  LoopWatch loop_watch_;
  std::unique_ptr<IoThread> thread_;  // declared last: gone before the memory it works on
};

}  // namespace ksocket
