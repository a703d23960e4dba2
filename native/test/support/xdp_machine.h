// eBPF without a kernel, for what has no rights to load programs, and for fuzzers: instruction by
// instruction, on memory of which each access is looked at. The kernel's verifier proves what this one only
// sees when it happens.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "support/xdp_runner.h"

namespace ksocket::test {

class XdpMachine final : public XdpRunner {
 public:
  static constexpr uint64_t kContextAddress = 0x637478;

  explicit XdpMachine(const xdp::CompiledRules& compiled);

  void set_address(std::span<const uint8_t, 16> address, uint32_t flags) override;
  void set_options(const xdp::Options& options) override;
  void set_generic() override;
  void enter_by(const xdp::Entry& entry) override;
  // The frames that follow are joined of datagrams of this size; 0: they are not.
  void set_joined(uint16_t bytes) { joined_ = bytes; }
  Result run(std::span<const uint8_t> frame, uint32_t repeat = 1) override;

 private:
  using Bytes = std::vector<uint8_t>;
  struct Map {
    xdp::MapSpec spec;
    Bytes elements;  // of an array, one behind the other
    std::map<Bytes, std::unique_ptr<Bytes>> values;

    bool is_array() const { return !elements.empty(); }
    uint8_t* element(uint32_t at) {
      return at < spec.max_entries ? &elements[size_t{at} * spec.value_size] : nullptr;
    }
  };

  std::vector<uint64_t> sum(xdp::MapId map, uint32_t key, size_t numbers) const override;
  std::optional<Map>& at(xdp::MapId map) { return maps_[static_cast<size_t>(map)]; }
  uint8_t* value_of(Map& map, const Bytes& key);
  void set(xdp::MapId map, Bytes key, Bytes value);
  void execute();
  void compute(const bpf_insn& instruction, bool wide);
  bool holds(const bpf_insn& instruction, bool wide) const;
  void load_wide();
  void load(const bpf_insn& instruction);
  void store(const bpf_insn& instruction);
  void atomic(const bpf_insn& instruction);
  void call(int32_t helper);
  uint64_t checksum(uint64_t address, uint64_t bytes, uint64_t seed);
  uint64_t adjust_tail(int32_t by);
  void tail_call(xdp::MapId map, uint64_t place);
  uint64_t read_kernel(uint64_t to, uint64_t bytes, uint64_t from);
  uint64_t copy(bool to_frame, uint64_t offset, uint64_t address, uint64_t bytes);
  bool is_allowed(uint64_t address, uint64_t bytes) const;
  // Memory that the program may use; null, and an error, for other.
  uint8_t* memory(uint64_t address, uint64_t bytes);
  Map* map_of(uint64_t reference);
  uint64_t fail(const std::string& what);

  const xdp::CompiledRules& compiled_;
  xdp::Program entry_program_;
  std::optional<xdp::JoinedFrames> layout_;
  uint16_t joined_ = 0;
  std::array<std::optional<Map>, static_cast<size_t>(xdp::MapId::kCount)> maps_;
  std::map<uintptr_t, size_t> regions_;  // of values that are in no array
  Bytes stack_, frame_;
  size_t frame_bytes_ = 0;
  uint64_t registers_[11] = {};
  const xdp::Program *first_, *program_;
  size_t place_ = 0;
  bool ended_ = false;
};

}  // namespace ksocket::test
