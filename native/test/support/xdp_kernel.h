// A compiled set in the kernel, without an interface: frames are run through it by BPF_PROG_TEST_RUN.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "support/xdp_runner.h"

namespace ksocket::test {

// "" or why this process cannot load programs: a test that has to says so and ends.
std::string no_xdp();

class XdpKernel final : public XdpRunner {
 public:
  explicit XdpKernel(const xdp::CompiledRules& compiled);

  void set_address(std::span<const uint8_t, 16> address, uint32_t flags) override;
  void set_options(const xdp::Options& options) override;
  void set_generic() override;
  void enter_by(const xdp::Entry& entry) override;
  Result run(std::span<const uint8_t> frame, uint32_t repeat = 1) override;
  // The verdict on a frame that came by this interface, which has a program of its driver's kind. Otherwise
  // they come by lo.
  uint32_t run_on(uint32_t ifindex, std::vector<uint8_t> frame);
  // On an interface, as long as the descriptor is open.
  Fd attach(uint32_t ifindex, bool native = true) const;

  size_t elements(xdp::MapId map) const;
  // Is there one of that key?
  bool element(xdp::MapId map, const void* key, void* value) const;

 private:
  bool make_maps(const xdp::CompiledRules& compiled);
  bool load(const xdp::CompiledRules& compiled);
  std::vector<uint64_t> sum(xdp::MapId map, uint32_t key, size_t numbers) const override;

  std::map<xdp::MapId, Fd> maps_;
  bool load_one(const xdp::Program& program, Fd* out);
  int entry() const { return entry_ ? entry_.get() : programs_[0].get(); }

  std::vector<Fd> programs_;
  Fd left_, entry_;
};

}  // namespace ksocket::test
