#include "core/xdp/bpf_call.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/base/or_errno.h"

namespace ksocket::xdp {

namespace {

int bpf(bpf_cmd command, bpf_attr* attributes) {
  return or_errno(static_cast<int>(syscall(__NR_bpf, command, attributes, sizeof *attributes)));
}

int open_bpf(bpf_cmd command, bpf_attr* attributes, Fd* out) {
  int fd = bpf(command, attributes);
  if (fd < 0) return fd;
  *out = Fd(fd);
  return 0;
}

// Padding counts: the kernel refuses what is not zero beyond what it knows.
bpf_attr zero_attributes() {
  bpf_attr out;
  std::memset(&out, 0, sizeof out);
  return out;
}

uint64_t pointer(const void* at) {
  return reinterpret_cast<uintptr_t>(at);
}

void set_name(char (&out)[BPF_OBJ_NAME_LEN], ObjectName name) {
  std::strncpy(out, name, sizeof out - 1);
}

bpf_attr element(int map, const void* key, const void* value, uint64_t flags = 0) {
  bpf_attr out = zero_attributes();
  out.map_fd = static_cast<uint32_t>(map);
  out.key = pointer(key);
  out.value = pointer(value);
  out.flags = flags;
  return out;
}

int batch(bpf_cmd command, int map, const void* keys, const void* values, uint32_t* count) {
  bpf_attr attributes = zero_attributes();
  attributes.batch.map_fd = static_cast<uint32_t>(map);
  attributes.batch.keys = pointer(keys);
  attributes.batch.values = pointer(values);
  attributes.batch.count = *count;
  int error = bpf(command, &attributes);
  *count = error == 0 ? *count : std::min(attributes.batch.count, *count);
  return error;
}

// The verifier says -EAGAIN when a signal is pending; how often libbpf tries, too.
constexpr int kAttempts = 5;

int load(bpf_attr* attributes, Fd* out) {
  int error = -EAGAIN;
  for (int i = 0; i < kAttempts && error == -EAGAIN; i++) error = open_bpf(BPF_PROG_LOAD, attributes, out);
  return error;
}

constexpr size_t kLogBytes = 1 << 20;
constexpr size_t kLogEndBytes = 600;

// What is wrong stands in its last lines.
std::string end_of(const std::vector<char>& log) {
  std::string_view text(log.data(), strnlen(log.data(), log.size()));
  if (text.size() > kLogEndBytes) text.remove_prefix(text.size() - kLogEndBytes);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text);
}

}  // namespace

int create_map(const MapShape& shape, ObjectName name, Fd* out) {
  bpf_attr attributes = zero_attributes();
  attributes.map_type = shape.type;
  attributes.key_size = shape.key_bytes;
  attributes.value_size = shape.value_bytes;
  attributes.max_entries = shape.entries;
  attributes.map_flags = shape.flags;
  set_name(attributes.map_name, name);
  return open_bpf(BPF_MAP_CREATE, &attributes, out);
}

int set_element(int map, const void* key, const void* value, uint64_t flags) {
  bpf_attr attributes = element(map, key, value, flags);
  return bpf(BPF_MAP_UPDATE_ELEM, &attributes);
}

int get_element(int map, const void* key, void* value) {
  bpf_attr attributes = element(map, key, value);
  return bpf(BPF_MAP_LOOKUP_ELEM, &attributes);
}

int delete_element(int map, const void* key) {
  bpf_attr attributes = element(map, key, nullptr);
  return bpf(BPF_MAP_DELETE_ELEM, &attributes);
}

int next_key(int map, const void* key, void* out) {
  bpf_attr attributes = element(map, key, out);  // next_key has value's place
  return bpf(BPF_MAP_GET_NEXT_KEY, &attributes);
}

int set_elements(int map, const void* keys, const void* values, uint32_t* count) {
  return batch(BPF_MAP_UPDATE_BATCH, map, keys, values, count);
}

int delete_elements(int map, const void* keys, uint32_t* count) {
  return batch(BPF_MAP_DELETE_BATCH, map, keys, nullptr, count);
}

int load_program(std::span<const bpf_insn> instructions, ObjectName name, Fd* out, std::string* log) {
  bpf_attr attributes = zero_attributes();
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.expected_attach_type = BPF_XDP;
  attributes.insns = pointer(instructions.data());
  attributes.insn_cnt = static_cast<uint32_t>(instructions.size());
  attributes.license = pointer("Dual MIT/GPL");
  set_name(attributes.prog_name, name);
  int error = load(&attributes, out);
  if (error == 0 || log == nullptr) return error;
  // Writing the log takes longer than verifying, so it is asked for once something is wrong.
  std::vector<char> text(kLogBytes);
  attributes.log_level = 1;
  attributes.log_size = kLogBytes;
  attributes.log_buf = pointer(text.data());
  error = load(&attributes, out);
  if (error != 0) *log = end_of(text);
  return error;
}

int test_run(int program, TestRun* run) {
  bpf_attr attributes = zero_attributes();
  attributes.test.prog_fd = static_cast<uint32_t>(program);
  attributes.test.data_in = pointer(run->frame.data());
  attributes.test.data_size_in = static_cast<uint32_t>(run->frame.size());
  attributes.test.data_out = pointer(run->out.data());
  attributes.test.data_size_out = static_cast<uint32_t>(run->out.size());
  attributes.test.repeat = run->repeat;
  int error = bpf(BPF_PROG_TEST_RUN, &attributes);
  if (error != 0) return error;
  run->out = run->out.first(std::min<size_t>(attributes.test.data_size_out, run->out.size()));
  run->verdict = attributes.test.retval;
  run->duration_ns = attributes.test.duration;
  return 0;
}

int attach_to_interface(int program, uint32_t ifindex, uint32_t flags, Fd* link) {
  bpf_attr attributes = zero_attributes();
  attributes.link_create.prog_fd = static_cast<uint32_t>(program);
  attributes.link_create.target_ifindex = ifindex;
  attributes.link_create.attach_type = BPF_XDP;
  attributes.link_create.flags = flags;
  return open_bpf(BPF_LINK_CREATE, &attributes, link);
}

int replace_program(int link, int program, int present) {
  bpf_attr attributes = zero_attributes();
  attributes.link_update.link_fd = static_cast<uint32_t>(link);
  attributes.link_update.new_prog_fd = static_cast<uint32_t>(program);
  attributes.link_update.old_prog_fd = static_cast<uint32_t>(present);
  attributes.link_update.flags = BPF_F_REPLACE;
  return bpf(BPF_LINK_UPDATE, &attributes);
}

bool is_attached(int link) {
  bpf_link_info info;
  std::memset(&info, 0, sizeof info);
  bpf_attr attributes = zero_attributes();
  attributes.info.bpf_fd = static_cast<uint32_t>(link);
  attributes.info.info_len = sizeof info;
  attributes.info.info = pointer(&info);
  // A kernel that does not say (before Linux 5.8) has no such links.
  return bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes) == 0 && info.xdp.ifindex != 0;
}

// "0-3", "0", "0,2-3": the last number is the highest.
int possible_cpus() {
  Fd file(open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC));
  if (!file) return -errno;
  char text[256];
  ssize_t length = read(file.get(), text, sizeof text);
  if (length < 0) return -errno;
  std::string_view all(text, static_cast<size_t>(length));
  size_t start = all.find_last_of("-,");
  start = start == std::string_view::npos ? 0 : start + 1;
  int highest = 0;
  auto [end, error] = std::from_chars(text + start, text + length, highest);
  return error == std::errc() ? highest + 1 : -EINVAL;
}

}  // namespace ksocket::xdp
