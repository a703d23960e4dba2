#include "bridge/module_functions.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <unordered_set>
#include <utility>
#include <vector>

#include "bridge/arguments.h"
#include "bridge/xdp_calls.h"
#include "core/base/fd.h"
#include "core/base/room.h"
#include "core/contract/layout_fields.h"
#include "core/socket/address.h"
#include "core/socket/fd_type.h"
#include "core/socket/inherited.h"
#include "core/socket/links.h"
#include "core/socket/options.h"
#include "core/socket/path_table.h"
#include "core/socket/qdiscs.h"
#include "core/socket/rights.h"
#include "core/socket/socket_name.h"
#include "core/socket/steering.h"
#include "core/thread/io_thread.h"
#include "core/thread/schedule.h"
#include "engine/choose.h"
#include "engine/features.h"

namespace ksocket {

namespace {

// What JavaScript of this environment holds of the process's tables: numbers of paths, until it forgets them
// all, and descriptors that it wants to send.
class Held {
 public:
  ~Held() {
    forget();
    for (uint32_t number : rights_) Rights::of_process().take(number);
  }
  void add_rights(uint32_t number) { rights_.insert(number); }
  void release_rights(uint32_t number) {
    if (rights_.erase(number) > 0) Rights::of_process().take(number);
  }
  void add(const Address& address) {
    if (PathTable::of_process().hold(path_number(address))) numbers_.push_back(path_number(address));
  }
  void forget() {
    for (uint64_t number : std::exchange(numbers_, {})) PathTable::of_process().release(number);
  }

 private:
  std::vector<uint64_t> numbers_;
  std::unordered_set<uint32_t> rights_;
};

Held& held(const Napi::CallbackInfo& info) {
  return *static_cast<Held*>(info.Data());
}

// parseAddress(family, text, out: Uint8Array(20)) → 0 or -errno. out: 16 address bytes, then the scope id
// (u32, host order), as in a descriptor. A path's are good until forgetPaths().
Napi::Value parse_address_text(const Napi::CallbackInfo& info) {
  Address address;
  int error = parse_address(static_cast<uint8_t>(u32(info[0])), text(info[1]), 0, &address);
  if (error == 0 && address.family == kLocal) held(info).add(address);
  if (error == 0) {
    uint8_t* out = bytes(info[2]).data();
    std::memcpy(out, address.bytes, 16);
    std::memcpy(out + 16, &address.scope_id, 4);
  }
  return number(info.Env(), error);
}

// forgetPaths()
void forget_paths(const Napi::CallbackInfo& info) {
  held(info).forget();
}

// copyRights(fds: Int32Array) → the number of a bundle of copies, or -errno
Napi::Value copy_rights(const Napi::CallbackInfo& info) {
  Napi::Int32Array fds = info[0].As<Napi::Int32Array>();
  int64_t result = Rights::of_process().copy({fds.Data(), fds.ElementLength()});
  if (result > 0) held(info).add_rights(static_cast<uint32_t>(result));
  return number(info.Env(), static_cast<int>(result));
}

// releaseRights(number): closes the copies
void release_rights(const Napi::CallbackInfo& info) {
  held(info).release_rights(u32(info[0]));
}

// formatAddress(family, bytes: Uint8Array(20)) → text
Napi::Value format_address_bytes(const Napi::CallbackInfo& info) {
  Address address;
  address.family = static_cast<uint8_t>(u32(info[0]));
  const uint8_t* given = bytes(info[1]).data();
  std::memcpy(address.bytes, given, 16);
  std::memcpy(&address.scope_id, given + 16, 4);
  return Napi::String::New(info.Env(), format_address(address));
}

// getFdType(fd) → as fd_type()
Napi::Value get_fd_type(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), fd_type(i32(info[0])));
}

// getFdFamily(fd) → as fd_family()
Napi::Value get_fd_family(const Napi::CallbackInfo& info) {
  return number(info.Env(), fd_family(i32(info[0])));
}

// hasRoom(bytes) → as has_room()
Napi::Value has_room_for(const Napi::CallbackInfo& info) {
  double bytes = 0;
  napi_get_value_double(info.Env(), info[0], &bytes);
  return Napi::Boolean::New(info.Env(), has_room(static_cast<size_t>(bytes)));
}

// socketPair(stream: boolean) → two local sockets that are connected to each other, or -errno
Napi::Value socket_pair(const Napi::CallbackInfo& info) {
  int fds[2];
  int type = (boolean(info[0]) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  if (socketpair(AF_UNIX, type, 0, fds) != 0) return number(info.Env(), -errno);
  Napi::Int32Array out = Napi::Int32Array::New(info.Env(), 2);
  out[0] = fds[0];
  out[1] = fds[1];
  return out;
}

// memoryFile(bytes: Uint8Array) → a descriptor of a file in memory that has them, or -errno
Napi::Value memory_file(const Napi::CallbackInfo& info) {
  std::span<const uint8_t> content = bytes(info[0]);
  Fd file(memfd_create("ksocket", MFD_CLOEXEC));
  if (!file) return number(info.Env(), -errno);
  while (!content.empty()) {
    ssize_t written = write(file.get(), content.data(), content.size());
    if (written < 0) return number(info.Env(), -errno);
    content = content.subspan(static_cast<size_t>(written));
  }
  return number(info.Env(), file.release());
}

// closeFd(fd). node:fs warns of each that a worker closes and has not opened.
void close_fd(const Napi::CallbackInfo& info) {
  close(i32(info[0]));
}

// claimInherited(fd) → [type, name, port] as of claim_inherited(), or -errno
Napi::Value claim_inherited_fd(const Napi::CallbackInfo& info) {
  InheritedSocket socket;
  if (int error = claim_inherited(i32(info[0]), &socket)) return number(info.Env(), error);
  Napi::Array out = Napi::Array::New(info.Env(), 3);
  out.Set(0u, Napi::String::New(info.Env(), socket.type));
  out.Set(1u, Napi::String::New(info.Env(), socket.name));
  out.Set(2u, number(info.Env(), socket.port));
  return out;
}

Napi::Value texts(Napi::Env env, const std::vector<const char*>& all) {
  Napi::Array out = Napi::Array::New(env);
  uint32_t i = 0;
  for (const char* each : all) out.Set(i++, Napi::String::New(env, each));
  return out;
}

// probeEngine(wanted) → 0, or -errno where choose_engine(wanted) makes none
Napi::Value probe_engine(const Napi::CallbackInfo& info) {
  ChosenEngine chosen = choose_engine(text(info[0]));
  return number(info.Env(), chosen.engine ? 0 : chosen.error);
}

// chooseEngine(wanted) → as engine_name_for()
Napi::Value choose_engine_name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), engine_name_for(text(info[0])));
}

// probeFeatures() → { recvmmsg, sendmmsg, … }
Napi::Value probe_features_object(const Napi::CallbackInfo& info) {
  Napi::Object out = Napi::Object::New(info.Env());
  Features features = probe_features();
  out.Set("recvmmsg", features.mmsg);
  out.Set("sendmmsg", features.mmsg);
  out.Set("epoll", features.epoll);
  out.Set("gro", features.gro);
  out.Set("gso", features.gso);
  out.Set("gsoSegments", features.gso_segments);
  out.Set("kernelDrops", features.kernel_drops);
  out.Set("filter", features.filter);
  out.Set("busyPoll", features.busy_poll);
  out.Set("ipv6", features.ipv6);
  return out;
}

// probeOption(option, value: number | Uint8Array) → as probe_option()
Napi::Value probe_socket_option(const Napi::CallbackInfo& info) {
  auto option = static_cast<SocketOption>(u32(info[0]));
  return number(info.Env(), probe_option(option, OptionValue(info[1]).bytes()));
}

// hasQdisc(kind) → as has_qdisc()
Napi::Value has_qdisc_of(const Napi::CallbackInfo& info) {
  return number(info.Env(), has_qdisc(text(info[0])));
}

// probeLinkEvents() → 0, or -errno as open_link_events()
Napi::Value probe_link_events(const Napi::CallbackInfo& info) {
  Fd events;
  return number(info.Env(), open_link_events(&events));
}

// probeSteering() → as probe_steering()
Napi::Value probe_socket_steering(const Napi::CallbackInfo& info) {
  return number(info.Env(), probe_steering());
}

// probeCpus() → as probe_cpus()
Napi::Value probe_thread_cpus(const Napi::CallbackInfo& info) {
  return number(info.Env(), probe_cpus());
}

// probePriority() → as probe_fifo_priority()
Napi::Value probe_thread_priority(const Napi::CallbackInfo& info) {
  return number(info.Env(), probe_fifo_priority());
}

}  // namespace

void define_module_functions(Napi::Env env, Napi::Object exports) {
  auto* own = new Held;
  env.AddCleanupHook([own] { delete own; });
  exports.Set("parseAddress", Napi::Function::New<parse_address_text>(env, "parseAddress", own));
  exports.Set("forgetPaths", Napi::Function::New<forget_paths>(env, "forgetPaths", own));
  exports.Set("copyRights", Napi::Function::New<copy_rights>(env, "copyRights", own));
  exports.Set("releaseRights", Napi::Function::New<release_rights>(env, "releaseRights", own));
  exports.Set("formatAddress", Napi::Function::New<format_address_bytes>(env));
  exports.Set("getFdType", Napi::Function::New<get_fd_type>(env));
  exports.Set("getFdFamily", Napi::Function::New<get_fd_family>(env));
  exports.Set("hasRoom", Napi::Function::New<has_room_for>(env));
  exports.Set("threadBytes", number(env, uint64_t{IoThread::kBytes}));
  exports.Set("socketPair", Napi::Function::New<socket_pair>(env, "socketPair"));
  exports.Set("memoryFile", Napi::Function::New<memory_file>(env, "memoryFile"));
  exports.Set("closeFd", Napi::Function::New<close_fd>(env));
  exports.Set("claimInherited", Napi::Function::New<claim_inherited_fd>(env));
  exports.Set("engineNames", texts(env, engine_names()));
  exports.Set("engineNeeds", texts(env, engine_needs()));
  exports.Set("probeEngine", Napi::Function::New<probe_engine>(env));
  exports.Set("chooseEngine", Napi::Function::New<choose_engine_name>(env));
  exports.Set("probeFeatures", Napi::Function::New<probe_features_object>(env));
  exports.Set("probeOption", Napi::Function::New<probe_socket_option>(env));
  exports.Set("hasQdisc", Napi::Function::New<has_qdisc_of>(env));
  exports.Set("probeLinkEvents", Napi::Function::New<probe_link_events>(env));
  exports.Set("probeSteering", Napi::Function::New<probe_socket_steering>(env));
  exports.Set("probeCpus", Napi::Function::New<probe_thread_cpus>(env));
  exports.Set("probePriority", Napi::Function::New<probe_thread_priority>(env));
  exports.Set("probeKernelAnswers", Napi::Function::New<probe_kernel_answers_pair>(env));
  exports.Set("socketRestriction", Napi::Function::New<socket_restriction>(env));
  exports.Set("compileRules", Napi::Function::New<compile_rules>(env));
  exports.Set("layoutHash", Napi::Number::New(env, kLayoutHash));
}

}  // namespace ksocket
