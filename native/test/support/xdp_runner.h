// Something that runs a compiled set on frames: a kernel, or what stands in for one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/xdp/compile.h"
#include "core/xdp/emit_entry.h"

namespace ksocket::test {

class XdpRunner {
 public:
  // XDP_PASS and so on, and what the frame has become.
  struct Result {
    uint32_t verdict = 0;
    std::vector<uint8_t> frame;
    uint32_t duration_ns = 0;
  };

  virtual ~XdpRunner() = default;

  // What is wrong with the set, or with a run; "": nothing.
  const std::string& error() const { return error_; }
  virtual void set_address(std::span<const uint8_t, 16> address, uint32_t flags) = 0;
  virtual void set_options(const xdp::Options& options) = 0;
  // lo has its programs in generic mode.
  virtual void set_generic() = 0;
  // Frames come in there, and not at the first program: the set is the server of that number 0.
  virtual void enter_by(const xdp::Entry& entry) = 0;
  virtual Result run(std::span<const uint8_t> frame, uint32_t repeat = 1) = 0;

  xdp::KernelCounters counters() const;
  std::vector<uint64_t> hits() const;

 protected:
  explicit XdpRunner(const xdp::CompiledRules& compiled)
      : rules_(static_cast<uint32_t>(compiled.rules.size())), error_(compiled.refused) {}

  // Over all processors.
  virtual std::vector<uint64_t> sum(xdp::MapId map, uint32_t key, size_t numbers) const = 0;

  const uint32_t rules_;
  std::string error_;
};

}  // namespace ksocket::test
