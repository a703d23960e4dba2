// Reads what lib/server/rules/encode.ts writes. Numbers are little-endian, nothing is aligned, and records
// follow each other without offsets, so that there is nothing to point outside:
//
//   header  "ksrl"  u16 version  u8 otherwise  u8 0  u32 rules
//   rule    u8 action  u8 flags  u16 length min  u16 length max  u16 masks  u16 sources  u16 ports
//           u32 payload bytes, payload            flags: 1 payload is exact, 2 payload is a prefix, 4
//           amplify,
//                                                 8 conditions of what the kernel says
//           masks   × (u16 at, u16 bytes, mask, value)
//           sources × (u8 family, u8 prefix bits, 4 or 16 bytes)
//           ports   × u16
//           if flag 8: u8 ttl min  u8 ttl max  u64 dscps  u8 ecns  u16 locals
//                      locals × as sources
//           if the action is reply: u16 parts × (u8 kind, …)
//   part    literal: u32 bytes, bytes       request: i32 start, i32 end (INT32_MAX: to the end)
//           source address, source port, local address: i32 xor (-1: none)
//           counter: u8 bytes                       times, ttl, dscp, ecn: nothing
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/answer/rules/rule.h"

namespace ksocket::rules {

inline constexpr uint8_t kMagic[4] = {'k', 's', 'r', 'l'};
inline constexpr uint16_t kVersion = 1;
inline constexpr uint8_t kFlagExact = 1, kFlagPrefix = 2, kFlagAmplify = 4, kFlagKernel = 8;

// nullopt for everything that the encoder does not write: each valid input stands for one RuleSpec, and no
// two for the same. Memory is taken only for what is there to be read, some tens of bytes for a byte of input
// at most.
std::optional<RuleSpec> decode_rules(std::span<const uint8_t> encoded);

}  // namespace ksocket::rules
