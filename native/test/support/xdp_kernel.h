// A compiled set in the kernel, without an interface: frames are run through it by BPF_PROG_TEST_RUN.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/socket/address.h"
#include "core/xdp/compile.h"

namespace ksocket::test {

// "" or why this process cannot load programs: a test that has to says so and ends.
std::string no_xdp();

class XdpKernel {
 public:
  explicit XdpKernel(const xdp::CompiledRules& compiled);

  // What the verifier has against it; "": it is loaded.
  const std::string& error() const { return error_; }

  void set_address(std::span<const uint8_t, 16> address, uint32_t flags);
  void set_options(const xdp::Options& options);
  // XDP_PASS and so on, and what the frame has become.
  struct Result {
    uint32_t verdict = 0;
    std::vector<uint8_t> frame;
    uint32_t duration_ns = 0;
  };
  Result run(std::span<const uint8_t> frame, uint32_t repeat = 1);
  // The verdict on a frame that came by this interface, which has a program of its driver's kind. Otherwise
  // they come by lo.
  uint32_t run_on(uint32_t ifindex, std::vector<uint8_t> frame);
  // On an interface, as long as the descriptor is open.
  Fd attach(uint32_t ifindex) const;

  xdp::KernelCounters counters() const;
  std::vector<uint64_t> hits() const;
  size_t elements(xdp::MapId map) const;
  // Is there one of that key?
  bool element(xdp::MapId map, const void* key, void* value) const;

 private:
  bool make_maps(const xdp::CompiledRules& compiled);
  bool load(const xdp::CompiledRules& compiled);
  std::vector<uint64_t> sum(xdp::MapId map, uint32_t key, size_t numbers) const;

  std::map<xdp::MapId, Fd> maps_;
  std::vector<Fd> programs_;
  uint32_t rules_ = 0;
  std::string error_;
};

}  // namespace ksocket::test
