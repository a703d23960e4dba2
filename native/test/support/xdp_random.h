// Random frames for random rules: datagrams that the rules hit, and almost hit, and frames that are none.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "core/answer/rules/rule.h"
#include "core/xdp/compile.h"
#include "core/xdp/emit_entry.h"
#include "support/random.h"
#include "support/xdp_frames.h"

namespace ksocket::test {

xdp::CompileOptions random_options(Random& random);
// The interface by which frames come: lo, or one of a machine.
xdp::Entry random_entry(Random& random, const xdp::CompileOptions& options);
Frame random_frame(Random& random, const rules::RuleSpec& spec, uint16_t port, const xdp::Entry& entry);

// In the table of addresses of the sets that are tested.
std::span<const std::array<uint8_t, 16>> served_addresses();
// A datagram to the socket that the kernel may decide about.
bool is_plain(const Frame& frame, const xdp::CompileOptions& options, const xdp::Entry& entry);
// From one of this machine's own addresses.
bool is_own(const Frame& frame);
// The frame that answers this one.
Frame answer_to(const Frame& frame, std::vector<uint8_t> payload, const xdp::CompileOptions& options);

}  // namespace ksocket::test
