// Classic BPF without a kernel: what core/answer/protection/filter.cc writes, executed on a network header.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/socket/address.h"

namespace ksocket::test {

// What is wrong with a program, or "": every instruction is one of those the compiler writes and reachable
// in order, every jump stays inside, the last one returns, and there are BPF_MAXINSNS at most.
std::string check_program(std::span<const sock_filter> program);

// What a program that check_program() finds nothing wrong with returns for a packet that begins with this
// network header; 0 for a load beyond it, as in the kernel.
uint32_t run_program(std::span<const sock_filter> program, std::span<const uint8_t> network_header);

// A header with this source, of IPv4 (RFC 791) or IPv6 (RFC 8200) as the address is. The other fields are
// all ones.
std::vector<uint8_t> network_header(const Address& source);

}  // namespace ksocket::test
