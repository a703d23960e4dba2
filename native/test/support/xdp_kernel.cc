#include "support/xdp_kernel.h"

#include <linux/if_link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "core/xdp/bpf_call.h"

namespace ksocket::test {

using namespace xdp;

namespace {

// capability.h: CAP_PERFMON, or CAP_SYS_ADMIN, which includes it.
bool may_compute_with_pointers() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    uint64_t capabilities = std::strtoull(line.c_str() + 7, nullptr, 16);
    return (capabilities & (uint64_t{1} << 38 | uint64_t{1} << 21)) != 0;
  }
  return false;
}

}  // namespace

std::string no_xdp() {
  Fd map;
  int error = create_map({BPF_MAP_TYPE_LPM_TRIE, 8, 4, 1, BPF_F_NO_PREALLOC}, "test", &map);
  if (error != 0) return std::string("this process may not use bpf(2): ") + std::strerror(-error);
  return may_compute_with_pointers() ? "" : "this process has no CAP_PERFMON";
}

XdpKernel::XdpKernel(const CompiledRules& compiled) : XdpRunner(compiled) {
  if (error_.empty() && make_maps(compiled)) load(compiled);
}

bool XdpKernel::make_maps(const CompiledRules& compiled) {
  for (const MapSpec& map : compiled.maps) {
    MapShape shape{static_cast<bpf_map_type>(map.type), map.key_size, map.value_size, map.max_entries,
                   map.flags};
    int error = create_map(shape, map.name, &maps_[map.id]);
    if (error != 0) error_ = std::string(map.name) + ": " + std::strerror(-error);
    if (error != 0) return false;
  }
  for (const MapEntry& entry : compiled.entries) {
    int error = set_element(maps_[entry.map].get(), entry.key.data(), entry.value.data());
    if (error != 0) error_ = std::string("an entry: ") + std::strerror(-error);
    if (error != 0) return false;
  }
  return true;
}

bool XdpKernel::load_one(const Program& program, Fd* out) {
  std::vector<bpf_insn> code = program.code;
  for (const Relocation& relocation : program.relocations) {
    code[relocation.slot].imm = maps_[relocation.map].get();
  }
  std::string log;
  int error = load_program(code, program.name.c_str(), out, &log);
  if (error != 0) error_ = std::string(std::strerror(-error)) + ": " + log;
  return error == 0;
}

bool XdpKernel::load(const CompiledRules& compiled) {
  for (uint32_t i = 0; i < compiled.programs.size(); i++) {
    if (!load_one(compiled.programs[i], &programs_.emplace_back())) return false;
    int32_t fd = programs_.back().get();
    if (i > 0) set_element(maps_[MapId::programs].get(), &i, &fd);
  }
  return load_one(compiled.left, &left_);
}

void XdpKernel::enter_by(const Entry& entry) {
  if (!error_.empty()) return;
  create_map({BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2}, "ks_servers", &maps_[MapId::servers]);
  for (auto [place, program] : {std::pair{first_place(0), &programs_[0]}, {left_place(0), &left_}}) {
    int32_t fd = program->get();
    if (set_element(maps_[MapId::servers].get(), &place, &fd) != 0) error_ = "no place among the servers";
  }
  load_one(compile_entry(entry), &entry_);
}

void XdpKernel::set_generic() {
  constexpr uint32_t kLoopback = 1;
  constexpr uint8_t kYes = 1;
  if (maps_.contains(MapId::generic)) set_element(maps_[MapId::generic].get(), &kLoopback, &kYes);
}

void XdpKernel::set_address(std::span<const uint8_t, 16> address, uint32_t flags) {
  set_element(maps_[MapId::addresses].get(), address.data(), &flags);
}

void XdpKernel::set_options(const Options& options) {
  uint32_t key = 0;
  if (maps_.contains(MapId::options)) set_element(maps_[MapId::options].get(), &key, &options);
}

XdpKernel::Result XdpKernel::run(std::span<const uint8_t> frame, uint32_t repeat) {
  Result out;
  out.frame.resize(4096);
  TestRun run{.frame = frame, .out = out.frame, .repeat = repeat};
  int error = test_run(entry(), &run);
  if (error != 0) {
    error_ = std::string("BPF_PROG_TEST_RUN: ") + std::strerror(-error);
    out.verdict = UINT32_MAX;
    return out;
  }
  out.verdict = run.verdict;
  out.duration_ns = run.duration_ns;
  out.frame.resize(run.out.size());
  return out;
}

uint32_t XdpKernel::run_on(uint32_t ifindex, std::vector<uint8_t> frame) {
  xdp_md context{};
  context.data_end = static_cast<uint32_t>(frame.size());
  context.ingress_ifindex = ifindex;
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.test.prog_fd = static_cast<uint32_t>(entry());
  attributes.test.data_in = reinterpret_cast<uintptr_t>(frame.data());
  attributes.test.data_size_in = static_cast<uint32_t>(frame.size());
  attributes.test.ctx_in = reinterpret_cast<uintptr_t>(&context);
  attributes.test.ctx_size_in = sizeof context;
  if (syscall(__NR_bpf, BPF_PROG_TEST_RUN, &attributes, sizeof attributes) == 0)
    return attributes.test.retval;
  error_ = std::string("BPF_PROG_TEST_RUN: ") + std::strerror(errno);
  return UINT32_MAX;
}

Fd XdpKernel::attach(uint32_t ifindex, bool native) const {
  Fd out;
  attach_to_interface(entry(), ifindex, native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE, &out);
  return out;
}

std::vector<uint64_t> XdpKernel::sum(MapId map, uint32_t key, size_t numbers) const {
  std::vector<uint64_t> out(numbers);
  auto found = maps_.find(map);
  if (found == maps_.end()) return out;
  int cpus = possible_cpus();
  std::vector<uint64_t> all(numbers * static_cast<size_t>(cpus));
  get_element(found->second.get(), &key, all.data());
  for (size_t i = 0; i < all.size(); i++) out[i % numbers] += all[i];
  return out;
}

bool XdpKernel::element(MapId map, const void* key, void* value) const {
  return get_element(maps_.at(map).get(), key, value) == 0;
}

size_t XdpKernel::elements(MapId map) const {
  size_t out = 0;
  uint8_t key[64];
  const void* previous = nullptr;
  while (next_key(maps_.at(map).get(), previous, key) == 0) {
    out++;
    previous = key;
  }
  return out;
}

}  // namespace ksocket::test
