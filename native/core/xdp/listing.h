// What was compiled, for people: maps and programs, instruction by instruction.
#pragma once

#include <string>

#include "core/xdp/compile.h"

namespace ksocket::xdp {

// Lines, each with its end.
std::string listing_of(const CompiledRules& compiled);

}  // namespace ksocket::xdp
