#include "core/xdp/probe.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/xdp/bpf_call.h"

namespace ksocket::xdp {

namespace {

int try_program() {
  const bpf_insn pass[] = {
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  Fd program;
  return load_program(pass, "ksocket_probe", &program, nullptr);
}

int try_map() {
  Fd map;
  return create_map({BPF_MAP_TYPE_LPM_TRIE, 8, 4, 1, BPF_F_NO_PREALLOC}, "ksocket_probe", &map);
}

// What the verifier lets compute with numbers that it only knows bounds of.
constexpr uint32_t kPerfmon = 38, kSysAdmin = 21;  // linux/capability.h
bool has_either(uint32_t one, uint32_t other) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return true;  // the kernel will say so
  auto has = [&](uint32_t capability) {
    return (sets[capability / 32].effective >> capability % 32 & 1) != 0;
  };
  return has(one) || has(other);
}

}  // namespace

const char* needs_for(int error) {
  switch (-error) {
    case ENOSYS:
      return "a kernel with bpf(2), which no seccomp profile keeps from this process";
    case EPERM:
    case EACCES:
      return "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN of the machine, not of a user namespace, and neither a "
             "seccomp profile nor a security module that refuses bpf(2)";
    case ENOMEM:
      return "memory for the kernel's maps";
    case EMFILE:
    case ENFILE:
      return "free descriptors";
    default:
      return "Linux 5.18 with XDP";
  }
}

bool kernel_is_from(int major, int minor) {
  utsname name;
  int is_major = 0, is_minor = 0;
  if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &is_major, &is_minor) != 2) return true;
  return is_major > major || (is_major == major && is_minor >= minor);
}

// BPF_LINK_CREATE knows interfaces since 5.9, bpf_xdp_load_bytes() is of 5.18; what an older one says about
// them, others say, too.
Probed probe_kernel_answers() {
  int error = kernel_is_from(5, 18) ? try_map() : -EOPNOTSUPP;
  if (error == 0) error = try_program();
  if (error == 0 && !has_either(kPerfmon, kSysAdmin)) error = -EPERM;
  if (error == 0) return {};
  return {error, needs_for(error)};
}

}  // namespace ksocket::xdp
