// bpf(2), a function a command: what answering in the kernel needs of it, without libbpf.
//
// Results are 0 or -errno, as everywhere; descriptors are close-on-exec (the kernel makes them so).
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>

#include "core/base/fd.h"

namespace ksocket::xdp {

// As `bpftool map` and `bpftool prog` show it: letters, digits, `_` and `.`, of which 15 are kept.
using ObjectName = const char*;

struct MapShape {
  bpf_map_type type;
  uint32_t key_bytes, value_bytes, entries;
  uint32_t flags = 0;  // BPF_F_NO_PREALLOC: an LPM trie has to be
};

int create_map(const MapShape& shape, ObjectName name, Fd* out);
// `flags`: BPF_ANY, BPF_NOEXIST, BPF_EXIST. The value of a per-CPU map is possible_cpus() values, each
// rounded up to 8 bytes. The value of a PROG_ARRAY is a program's descriptor, as int32_t.
int set_element(int map, const void* key, const void* value, uint64_t flags = BPF_ANY);
int get_element(int map, const void* key, void* value);
int delete_element(int map, const void* key);
// `key` null: the first. -ENOENT after the last.
int next_key(int map, const void* key, void* out);
// So many elements at once. `*count` is how many the kernel took, also where it fails. -EINVAL of a kernel or
// a kind of map without it: then one by one.
int set_elements(int map, const void* keys, const void* values, uint32_t* count);
int delete_elements(int map, const void* keys, uint32_t* count);

// A program of the kind XDP, under a licence that lets it call every helper. Where the verifier refuses it
// (`log` is not null), the end of what it says.
int load_program(std::span<const bpf_insn> instructions, ObjectName name, Fd* out, std::string* log);

// BPF_PROG_TEST_RUN: what the program does with a frame that no device has received.
struct TestRun {
  std::span<const uint8_t> frame;  // with its Ethernet header
  std::span<uint8_t> out;          // room for what it becomes; in the end as long as that is
  uint32_t repeat = 1;
  uint32_t verdict = 0;      // XDP_PASS, XDP_TX, …
  uint32_t duration_ns = 0;  // of one run, on average
};
int test_run(int program, TestRun* run);

// A link ends with its last descriptor, whatever ends the process. `flags`: XDP_FLAGS_SKB_MODE (generic),
// XDP_FLAGS_DRV_MODE (native). -EBUSY or -EEXIST where the interface has a program; -EOPNOTSUPP of a driver
// without.
int attach_to_interface(int program, uint32_t ifindex, uint32_t flags, Fd* link);
// The next datagram meets `program` and each before met `present`, if that is what it was; -EPERM if not,
// -ENOLINK where the interface is gone.
int replace_program(int link, int program, int present);

// False: its interface is gone, or somebody has taken the program away.
bool is_attached(int link);

// How many CPUs the machine may ever have, and so values an element of a per-CPU map. Or -errno.
int possible_cpus();

}  // namespace ksocket::xdp
