// The inverse of decode_rules(), as lib/server/rules/encode.ts is: what decodes is encoded to the same bytes
// again.
#pragma once

#include <cstdint>
#include <vector>

#include "core/answer/rules/rule.h"

namespace ksocket::test {

std::vector<uint8_t> encode(const rules::RuleSpec& spec);

}  // namespace ksocket::test
