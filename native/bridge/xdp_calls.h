// The JavaScript object around KernelAnswers: checks nothing (lib/ has), decides nothing.
#pragma once

#include <napi.h>

#include <memory>

#include "core/xdp/kernel_answers.h"

namespace ksocket {

class KernelAnswersObject : public Napi::ObjectWrap<KernelAnswersObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit KernelAnswersObject(const Napi::CallbackInfo& info);

 private:
  class Beside;
  class Preparing;
  class Committing;

  Napi::Value prepare(const Napi::CallbackInfo& info);
  Napi::Value commit(const Napi::CallbackInfo& info);
  Napi::Value commit_beside(const Napi::CallbackInfo& info);
  Napi::Value get_places(const Napi::CallbackInfo& info);
  Napi::Value get_fates(const Napi::CallbackInfo& info);
  Napi::Value get_hits(const Napi::CallbackInfo& info);
  Napi::Value count(const Napi::CallbackInfo& info);
  Napi::Value stop(const Napi::CallbackInfo& info);
  Napi::Value set_numbers(const Napi::CallbackInfo& info);
  Napi::Value get_numbers(const Napi::CallbackInfo& info);

  Napi::ObjectReference row_;                    // whose memory it counts into
  std::shared_ptr<xdp::KernelAnswers> answers_;  // also of who works beside
};

// probeKernelAnswers() → [0 or -errno, what it needs]
Napi::Value probe_kernel_answers_pair(const Napi::CallbackInfo& info);
// socketRestriction(fd, ownFilter, ownGroup) → restriction_of()
Napi::Value socket_restriction(const Napi::CallbackInfo& info);
// Of `ksocket rules explain`.
Napi::Value compile_rules(const Napi::CallbackInfo& info);

}  // namespace ksocket
