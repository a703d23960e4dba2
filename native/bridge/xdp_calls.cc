#include "bridge/xdp_calls.h"

#include <cerrno>

#include "bridge/arguments.h"
#include "bridge/protection_arguments.h"
#include "core/answer/rules/decode.h"
#include "core/xdp/listing.h"
#include "core/xdp/probe.h"
#include "core/xdp/restriction.h"

namespace ksocket {

namespace {

using xdp::KernelAnswers;

std::vector<std::string> texts_of(Reader& reader, const Napi::Value& array) {
  std::vector<std::string> out;
  for (const auto& each : reader.elements(array)) out.push_back(text(each));
  return out;
}

Napi::Value pair(Napi::Env env, const KernelAnswers::Failure& failure) {
  Napi::Array out = Napi::Array::New(env, 2);
  out.Set(0u, number(env, failure.error));
  out.Set(1u, Napi::String::New(env, failure.needs));
  return out;
}

Napi::Value fate(Napi::Env env, const xdp::RuleFate& of) {
  Napi::Array out = Napi::Array::New(env, 2);
  out.Set(0u, Napi::Boolean::New(env, of.compiled));
  out.Set(1u, Napi::String::New(env, of.reason));
  return out;
}

// { servicePorts, servicesGetReplies, repeats? }, or undefined: no guard
void read_guard(Reader& reader, const Napi::Value& given, xdp::Protection* out) {
  if (given.IsUndefined()) return;
  for (const auto& port : reader.elements(reader.get(given, "servicePorts"))) {
    out->service_ports.push_back(static_cast<uint16_t>(u32(port)));
  }
  out->services_get_replies = boolean(reader.get(given, "servicesGetReplies"));
  out->repeats = rate_limit(reader, reader.get(given, "repeats"));
}

// Lists and limits, with the guard. It stays where it is.
struct Given {
  GuardedResponder::Options lists;
  xdp::Protection protection;

  int read(Reader& reader, const Napi::Value& given, const Napi::Value& guard) {
    int error = guard_options(reader, given, &lists);
    protection.deny = &lists.deny;
    protection.allow = lists.allow ? &*lists.allow : nullptr;
    protection.per_source = lists.per_source;
    protection.sources = lists.sources;
    protection.total = lists.total;
    read_guard(reader, guard, &protection);
    return error;
  }
};

// [refused, otherwise, …of each rule]; but for the first [compiled: boolean, reason]
Napi::Array fates_array(Napi::Env env, const KernelAnswers::Fates& fates) {
  Napi::Array out = Napi::Array::New(env);
  out.Set(0u, Napi::String::New(env, fates.refused));
  out.Set(1u, fate(env, fates.otherwise));
  uint32_t i = 2;
  for (const auto& each : fates.rules) out.Set(i++, fate(env, each));
  return out;
}

}  // namespace

// Something that takes long, on a thread of libuv's.
class KernelAnswersObject::Beside : public Napi::AsyncWorker {
 public:
  Beside(KernelAnswersObject& object, const char* name)
      : AsyncWorker(object.Env(), name), answers_(object.answers_) {
    napi_create_promise(object.Env(), &deferred_, &promise_);
  }

  Napi::Value promise() const { return {Env(), promise_}; }

  KernelAnswers::Failure result;  // with an error nothing is done

 protected:
  virtual KernelAnswers::Failure act(KernelAnswers& answers) = 0;

 private:
  void Execute() override {
    if (result.error == 0) result = act(*answers_);
  }
  // A worker may be ended meanwhile: then nothing is called any more, and nobody waits.
  void OnOK() override {
    napi_value out, needs;
    bool is_told =
        napi_create_array(Env(), &out) == napi_ok &&
        napi_create_string_utf8(Env(), result.needs.data(), result.needs.size(), &needs) == napi_ok &&
        napi_set_element(Env(), out, 0, number(Env(), result.error)) == napi_ok &&
        napi_set_element(Env(), out, 1, needs) == napi_ok;
    if (is_told) napi_resolve_deferred(Env(), deferred_, out);
  }

  const std::shared_ptr<KernelAnswers> answers_;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
};

// The kernel verifies for as long as half a second.
class KernelAnswersObject::Preparing final : public Beside {
 public:
  explicit Preparing(KernelAnswersObject& object) : Beside(object, "ksocket.prepare") {}

  rules::RuleSpec spec;
  std::vector<std::string> names;
  Given given;
  bool same_lists = false;

 private:
  KernelAnswers::Failure act(KernelAnswers& answers) override {
    return answers.prepare(spec, std::move(names), given.protection, same_lists);
  }
};

// It attaches for some 10 ms an interface.
class KernelAnswersObject::Committing final : public Beside {
 public:
  explicit Committing(KernelAnswersObject& object) : Beside(object, "ksocket.commit") {}

 private:
  KernelAnswers::Failure act(KernelAnswers& answers) override { return answers.commit(); }
};

Napi::Function KernelAnswersObject::define(Napi::Env env) {
  using Self = KernelAnswersObject;
  return DefineClass(env, "KernelAnswers",
                     {
                         InstanceMethod<&Self::prepare>("prepare"),
                         InstanceMethod<&Self::commit>("commit"),
                         InstanceMethod<&Self::commit_beside>("commitBeside"),
                         InstanceMethod<&Self::get_places>("getPlaces"),
                         InstanceMethod<&Self::get_fates>("getFates"),
                         InstanceMethod<&Self::get_hits>("getHits"),
                         InstanceMethod<&Self::count>("count"),
                         InstanceMethod<&Self::stop>("stop"),
                         InstanceMethod<&Self::set_numbers>("setNumbers"),
                         InstanceMethod<&Self::get_numbers>("getNumbers"),
                     });
}

// new KernelAnswers({ interfaces: string[], mode, own: { family, address, port }, ipv4, ipv6, ttl, tos,
// trafficClass, counters: BigUint64Array })
KernelAnswersObject::KernelAnswersObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  Reader reader(info.Env());
  auto get = [&](const char* name) { return reader.get(info[0], name); };
  KernelAnswers::Options options;
  options.where.names = texts_of(reader, get("interfaces"));
  options.where.mode = static_cast<xdp::Mode>(u32(get("mode")));
  int error = address_of(reader, get("own"), &options.where.own);
  options.compile.port = options.where.own.port;
  options.compile.ipv4 = boolean(get("ipv4"));
  options.compile.ipv6 = boolean(get("ipv6"));
  options.compile.ttl = static_cast<uint8_t>(u32(get("ttl")));
  options.compile.tos = static_cast<uint8_t>(u32(get("tos")));
  options.compile.traffic_class = static_cast<uint8_t>(u32(get("trafficClass")));
  using Clock = xdp::CompileOptions::Clock;
  options.compile.clock = xdp::kernel_is_from(6, 1) ? Clock::tai : Clock::monotonic;
  Napi::Value row = get("counters");
  void* data = nullptr;
  if (error != 0 || reader.error() != 0 ||
      napi_get_typedarray_info(info.Env(), row, nullptr, nullptr, &data, nullptr, nullptr) != napi_ok)
    return;
  row_ = Napi::Persistent(row.As<Napi::Object>());
  answers_ = std::make_shared<KernelAnswers>(std::move(options), Counters(static_cast<uint64_t*>(data)));
}

// prepare(rules: Uint8Array, names: string[], protection, guard | undefined, sameLists) → a promise of
// [errno, needs]
Napi::Value KernelAnswersObject::prepare(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Reader reader(env);
  auto* preparing = new Preparing(*this);
  std::optional<rules::RuleSpec> spec = rules::decode_rules(bytes(info[0]));
  preparing->names = texts_of(reader, info[1]);
  int error = preparing->given.read(reader, info[2], info[3]);
  preparing->same_lists = boolean(info[4]);
  if (error == 0) error = reader.error();
  if (error == 0 && (!spec || preparing->names.size() != spec->rules.size())) error = -EINVAL;
  if (!answers_) error = -ECANCELED;
  if (spec) preparing->spec = std::move(*spec);
  preparing->result = {error, ""};
  preparing->Queue();
  return preparing->promise();
}

// commit() → [errno, needs]
Napi::Value KernelAnswersObject::commit(const Napi::CallbackInfo& info) {
  return pair(info.Env(), answers_ ? answers_->commit() : KernelAnswers::Failure{-ECANCELED, ""});
}

// commitBeside() → a promise of [errno, needs]
Napi::Value KernelAnswersObject::commit_beside(const Napi::CallbackInfo&) {
  auto* committing = new Committing(*this);
  if (!answers_) committing->result.error = -ECANCELED;
  committing->Queue();
  return committing->promise();
}

// getPlaces() → [name, mode, errno, reason][]
Napi::Value KernelAnswersObject::get_places(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array out = Napi::Array::New(env);
  uint32_t i = 0;
  for (const auto& place : answers_ ? answers_->places() : std::vector<KernelAnswers::Place>()) {
    Napi::Array row = Napi::Array::New(env, 4);
    row.Set(0u, Napi::String::New(env, place.name));
    row.Set(1u, number(env, static_cast<int>(place.mode)));
    row.Set(2u, number(env, place.error));
    row.Set(3u, Napi::String::New(env, place.reason));
    out.Set(i++, row);
  }
  return out;
}

// getFates() → as fates_array()
Napi::Value KernelAnswersObject::get_fates(const Napi::CallbackInfo& info) {
  return answers_ ? fates_array(info.Env(), answers_->fates()) : Napi::Array::New(info.Env());
}

// getHits() → how often each rule has matched
Napi::Value KernelAnswersObject::get_hits(const Napi::CallbackInfo& info) {
  Napi::Array out = Napi::Array::New(info.Env());
  uint32_t i = 0;
  for (uint64_t hits : answers_ ? answers_->hits() : std::vector<uint64_t>()) {
    out.Set(i++, Napi::Number::New(info.Env(), static_cast<double>(hits)));
  }
  return out;
}

Napi::Value KernelAnswersObject::count(const Napi::CallbackInfo& info) {
  if (answers_) answers_->count();
  return info.Env().Undefined();
}

Napi::Value KernelAnswersObject::stop(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  if (answers_ && info[0].IsUndefined()) answers_->stop();
  if (answers_ && !info[0].IsUndefined()) answers_->stop_for(texts_of(reader, info[0]));
  return info.Env().Undefined();
}

// setNumbers(names: string[], numbers: number[])
Napi::Value KernelAnswersObject::set_numbers(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  std::vector<std::string> names = texts_of(reader, info[0]);
  std::map<std::string, uint64_t> numbers;
  size_t i = 0;
  for (const auto& each : reader.elements(info[1])) {
    double number = 0;
    napi_get_value_double(info.Env(), each, &number);
    if (i < names.size()) numbers[names[i++]] = static_cast<uint64_t>(number);
  }
  if (answers_ && reader.error() == 0) answers_->set_numbers(std::move(numbers));
  return info.Env().Undefined();
}

// getNumbers() → { name: how many replies }, as pairs
Napi::Value KernelAnswersObject::get_numbers(const Napi::CallbackInfo& info) {
  Napi::Array out = Napi::Array::New(info.Env());
  uint32_t i = 0;
  for (const auto& [name, number] : answers_ ? answers_->numbers() : std::map<std::string, uint64_t>()) {
    out.Set(i++, Napi::String::New(info.Env(), name));
    out.Set(i++, Napi::Number::New(info.Env(), static_cast<double>(number)));
  }
  return out;
}

Napi::Value probe_kernel_answers_pair(const Napi::CallbackInfo& info) {
  xdp::Probed probed = xdp::probe_kernel_answers();
  return pair(info.Env(), {probed.error, probed.needs});
}

Napi::Value socket_restriction(const Napi::CallbackInfo& info) {
  xdp::OwnRestrictions own{.filter = boolean(info[1]), .port = boolean(info[2])};
  return Napi::String::New(info.Env(), xdp::restriction_of(i32(info[0]), own));
}

// compileRules(rules: Uint8Array, protection, guard | undefined, port, disassemble) → [as fates_array(),
// programs, instructions, text], or undefined for what are no rules
Napi::Value compile_rules(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Reader reader(env);
  std::optional<rules::RuleSpec> spec = rules::decode_rules(bytes(info[0]));
  Given given;
  if (given.read(reader, info[1], info[2]) != 0 || reader.error() != 0 || !spec) return env.Undefined();
  xdp::CompileOptions options;
  options.port = static_cast<uint16_t>(u32(info[3]));
  xdp::CompiledRules compiled = xdp::compile(*spec, given.protection, options);
  uint64_t instructions = 0;
  for (const xdp::Program& program : compiled.programs) instructions += program.code.size();
  std::string text = boolean(info[4]) ? xdp::listing_of(compiled) : std::string();
  Napi::Array out = Napi::Array::New(env, 4);
  out.Set(0u, fates_array(env, {std::move(compiled.rules), std::move(compiled.otherwise), compiled.refused}));
  out.Set(1u, number(env, uint64_t{compiled.programs.size()}));
  out.Set(2u, number(env, instructions));
  out.Set(3u, Napi::String::New(env, text));
  return out;
}

}  // namespace ksocket
